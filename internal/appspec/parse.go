package appspec

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"greengate/internal/deploy"
)

// Parse reads an AppSpec file, YAML or JSON. The Spec may be used only when there is no fault; with
// faults, which come in the order of the file, it holds what could be read.
func Parse(data []byte) (Spec, []Fault) {
	tree, faults := readTree(data)
	p := &parser{faults: faults}
	if tree != nil {
		p.file(tree)
	}
	sortFaults(p.faults)
	return p.spec, p.faults
}

func sortFaults(faults []Fault) {
	slices.SortStableFunc(faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

type parser struct {
	spec   Spec
	faults []Fault
}

func (p *parser) fault(at position, field, format string, args ...any) {
	p.faults = append(p.faults, at.fault(field, format, args...))
}

// value is a node with the path that leads to it. A nil node is absent, and so is a null.
type value struct {
	*node
	field string
}

func (v value) absent() bool { return v.node == nil || v.kind == kindNull }

// fields finds the named keys of a map, whatever their case, in the order of names. Other keys are
// ignored, as CodeDeploy does not document them as faults.
func (p *parser) fields(m value, names ...string) []value {
	found := make([]value, len(names))
	for _, e := range m.entries {
		i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, e.key) })
		if i < 0 {
			continue
		}
		field := join(m.field, e.key)
		if found[i].node != nil {
			p.fault(e.at, field, "is given twice; keys match whatever their case")
			continue
		}
		found[i] = value{e.value, field}
	}
	for i, name := range names {
		if found[i].node == nil {
			found[i].field = join(m.field, name)
		}
	}
	return found
}

func join(parent, key string) string {
	if parent == "" {
		return key
	}
	return parent + "." + key
}

// is checks the kind of a value; a value that is absent is a fault at the place of its owner.
func (p *parser) is(v value, want nodeKind, owner position, example string) bool {
	switch {
	case v.absent():
		p.fault(owner, v.field, "is missing; write for example %s", example)
	case v.kind != want:
		p.fault(v.at, v.field, "is %s; it must be %s, for example %s", v.kind, want, example)
	default:
		return true
	}
	return false
}

// text is a scalar that may not be empty; numbers and booleans that were meant as text are taken as
// they were written.
func (p *parser) text(v value, owner position, example string) string {
	switch {
	case v.absent():
		p.fault(owner, v.field, "is missing; write for example %s", example)
	case !v.scalar():
		p.fault(v.at, v.field, "is %s; it must be a text, for example %s", v.kind, example)
	case strings.TrimSpace(v.text) == "":
		p.fault(v.at, v.field, "is empty; write for example %s", example)
	default:
		return strings.TrimSpace(v.text)
	}
	return ""
}

// number is a whole number, written as one or as a text that holds one.
func (p *parser) number(v value, least, most int) int {
	n, err := strconv.Atoi(strings.TrimSpace(v.text))
	if v.kind == kindNumber && err != nil { // 8e1 and 80.0 are whole numbers too
		if f, ferr := strconv.ParseFloat(v.text, 64); ferr == nil && f == float64(int(f)) {
			n, err = int(f), nil
		}
	}
	if v.kind != kindNumber && v.kind != kindText || err != nil || n < least || n > most {
		p.fault(v.at, v.field, "must be a whole number between %d and %d", least, most)
		return 0
	}
	return n
}

func (p *parser) file(tree *node) {
	root := value{tree, ""}
	if tree.kind != kindMap {
		p.fault(tree.at, "", "the file is %s; it must be a map with version, Resources and Hooks", tree.kind)
		return
	}
	got := p.fields(root, "version", "Resources", "Hooks")
	p.version(got[0], tree.at)
	p.resources(got[1], tree.at)
	p.hooks(got[2])
}

// version allows what shipping clients send: 0.0 as a number in any form, or as a text.
func (p *parser) version(v value, owner position) {
	if v.absent() {
		p.fault(owner, v.field, "is missing; write version: 0.0")
		return
	}
	zero := v.kind == kindText && strings.TrimSpace(v.text) == "0.0"
	if v.kind == kindNumber {
		f, err := strconv.ParseFloat(v.text, 64)
		zero = err == nil && f == 0
	}
	if !zero {
		p.fault(v.at, v.field, "is not a version that exists; the only one is 0.0")
	}
}

func (p *parser) resources(v value, owner position) {
	const example = `- TargetService: {Type: "AWS::ECS::Service", Properties: {…}}`
	if !p.is(v, kindList, owner, example) {
		return
	}
	if len(v.items) != 1 {
		p.fault(v.at, v.field, "holds %d resources; it must hold exactly one", len(v.items))
	}
	for i, item := range v.items {
		one := value{item, fmt.Sprintf("%s[%d]", v.field, i)}
		if !p.is(one, kindMap, item.at, example) {
			continue
		}
		if len(item.entries) != 1 {
			p.fault(item.at, one.field, "holds %d names; it must hold exactly one resource under its name", len(item.entries))
			continue
		}
		e := item.entries[0]
		p.spec.Resource = e.key
		p.resource(value{e.value, join(one.field, e.key)}, e.at)
	}
}

const serviceType = "AWS::ECS::Service"

func (p *parser) resource(v value, owner position) {
	if !p.is(v, kindMap, owner, "Type and Properties") {
		return
	}
	got := p.fields(v, "Type", "Properties")
	if kind := p.text(got[0], owner, serviceType); kind != "" && kind != serviceType {
		p.fault(got[0].at, got[0].field, "is %q; an ECS deployment has only %s", kind, serviceType)
	}
	if !p.is(got[1], kindMap, owner, "TaskDefinition and LoadBalancerInfo") {
		return
	}
	owner = got[1].at
	got = p.fields(got[1], "TaskDefinition", "LoadBalancerInfo", "PlatformVersion", "NetworkConfiguration", "CapacityProviderStrategy")
	p.taskDefinition(got[0], owner)
	p.loadBalancer(got[1], owner)
	if v := got[2]; !v.absent() {
		p.spec.PlatformVersion = p.text(v, v.at, "LATEST")
	}
	if v := got[3]; !v.absent() {
		p.network(v)
	}
	if v := got[4]; !v.absent() {
		p.capacity(v)
	}
}

// taskDefinitionForm is an ARN, or family or family:revision (ECS API reference, RegisterTaskDefinition).
var taskDefinitionForm = regexp.MustCompile(`^(arn:[a-z0-9-]+:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/)?[A-Za-z0-9_-]{1,255}(:[0-9]+)?$`)

func (p *parser) taskDefinition(v value, owner position) {
	const example = `"arn:aws:ecs:us-east-1:123456789012:task-definition/shop:7"`
	text := p.text(v, owner, example)
	switch {
	case text == "":
	case text == "<TASK_DEFINITION>":
		p.fault(v.at, v.field, "is the placeholder that CodePipeline's CodeDeployToECS action fills in; nobody else replaces it: write the task definition's ARN")
	case !taskDefinitionForm.MatchString(text):
		p.fault(v.at, v.field, "%q is not a task definition; write its ARN, for example %s, or family:revision", text, example)
	default:
		p.spec.TaskDefinition = text
	}
}

func (p *parser) loadBalancer(v value, owner position) {
	const example = `{ContainerName: "app", ContainerPort: 80}`
	if !p.is(v, kindMap, owner, example) {
		return
	}
	got := p.fields(v, "ContainerName", "ContainerPort")
	p.spec.ContainerName = p.text(got[0], v.at, `"app"`)
	if got[1].absent() {
		p.fault(v.at, got[1].field, "is missing; write the port that the container listens on, for example 80")
		return
	}
	p.spec.ContainerPort = p.number(got[1], 1, 65535)
}

// network is all or nothing: a part of it says nothing about the rest.
func (p *parser) network(v value) {
	const example = "AwsvpcConfiguration: {Subnets: [subnet-1], SecurityGroups: [sg-1], AssignPublicIp: DISABLED}"
	if !p.is(v, kindMap, v.at, example) {
		return
	}
	awsvpc := p.fields(v, "AwsvpcConfiguration")[0]
	if !p.is(awsvpc, kindMap, v.at, example) {
		return
	}
	got := p.fields(awsvpc, "Subnets", "SecurityGroups", "AssignPublicIp")
	n := Network{Subnets: p.texts(got[0], awsvpc.at), SecurityGroups: p.texts(got[1], awsvpc.at)}
	switch public := p.text(got[2], awsvpc.at, "DISABLED"); public {
	case "ENABLED":
		n.AssignPublicIP = true
	case "", "DISABLED":
	default:
		p.fault(got[2].at, got[2].field, "is %q; it must be ENABLED or DISABLED", public)
	}
	p.spec.Network = &n
}

func (p *parser) texts(v value, owner position) []string {
	if !p.is(v, kindList, owner, "a list with at least one id; NetworkConfiguration is given whole or not at all") {
		return nil
	}
	if len(v.items) == 0 {
		p.fault(v.at, v.field, "is empty; NetworkConfiguration is given whole or not at all")
	}
	var out []string
	for i, item := range v.items {
		out = append(out, p.text(value{item, fmt.Sprintf("%s[%d]", v.field, i)}, item.at, "an id"))
	}
	return out
}

// capacity keeps the rules of the ECS API reference, CapacityProviderStrategyItem.
func (p *parser) capacity(v value) {
	if !p.is(v, kindList, v.at, "[{CapacityProvider: FARGATE_SPOT, Base: 1, Weight: 2}]") {
		return
	}
	based, weighted, before := 0, 0, len(p.faults)
	for i, item := range v.items {
		one := value{item, fmt.Sprintf("%s[%d]", v.field, i)}
		if !p.is(one, kindMap, item.at, "{CapacityProvider: FARGATE_SPOT, Base: 1, Weight: 2}") {
			continue
		}
		got := p.fields(one, "CapacityProvider", "Base", "Weight")
		c := CapacityProvider{Name: p.text(got[0], item.at, "FARGATE")}
		if !got[1].absent() {
			c.Base = p.number(got[1], 0, 100_000)
		}
		if !got[2].absent() {
			c.Weight = p.number(got[2], 0, 1000)
		}
		if c.Base > 0 {
			if based++; based == 2 {
				p.fault(got[1].at, got[1].field, "is the second base; only one capacity provider may have one")
			}
		}
		weighted += c.Weight
		p.spec.CapacityProviders = append(p.spec.CapacityProviders, c)
	}
	if len(v.items) > 1 && weighted == 0 && len(p.faults) == before {
		p.fault(v.at, v.field, "gives every capacity provider the weight 0, so that none can run a task; give at least one a weight")
	}
}

// hookEvents are the lifecycle events that take a hook, in their order.
func hookEvents() []deploy.Phase {
	return slices.DeleteFunc(deploy.LifecycleEvents(true), func(e deploy.Phase) bool { return !e.Hookable() })
}
