package appspec

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
)

// TaskDefinition is what an AppSpec file relies on in a task definition: the input of RegisterTaskDefinition, as JSON.
type TaskDefinition struct {
	Family     string      `json:"family"`
	Containers []Container `json:"containers"`
}

// Container is one container of a task definition.
type Container struct {
	Name       string   `json:"name"`
	Image      string   `json:"image"`
	EntryPoint []string `json:"entryPoint,omitempty"`
	Command    []string `json:"command,omitempty"`
	// Ports are the containerPorts of its port mappings.
	Ports []int `json:"ports,omitempty"`
}

// Container returns a container by its name, and false where there is none.
func (d TaskDefinition) Container(name string) (Container, bool) {
	for _, c := range d.Containers {
		if c.Name == name {
			return c, true
		}
	}
	return Container{}, false
}

// ParseTaskDefinition reads a task definition file, which is JSON. The result may be used only when there is no fault.
// What ECS has more to say of it, it says when it is registered.
func ParseTaskDefinition(data []byte) (TaskDefinition, []Fault) {
	if len(data) > maxSize {
		return TaskDefinition{}, []Fault{position{1, 1}.fault("", "the file has %d bytes; the limit is %d", len(data), maxSize)}
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	tree, faults := readJSON(data)
	if len(faults) > 0 {
		return TaskDefinition{}, faults
	}
	p := &definitionParser{parser: &parser{}}
	p.file(tree)
	sortFaults(p.faults)
	return p.def, p.faults
}

type definitionParser struct {
	*parser
	def       TaskDefinition
	essential bool
}

// familyForm is that of the ECS API reference, RegisterTaskDefinition.
var familyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

func (p *definitionParser) file(tree *node) {
	root := value{tree, ""}
	if tree.kind != kindMap {
		p.fault(tree.at, "", "the file is %s; it must be a map with family and containerDefinitions", tree.kind)
		return
	}
	got := p.exact(root, "family", "containerDefinitions", "taskDefinition")
	if got[0].node == nil && !got[2].absent() {
		p.fault(got[2].at, "taskDefinition", "is the answer of describe-task-definition; save what is in it, for example with --query taskDefinition")
		return
	}
	if p.def.Family = p.text(got[0], tree.at, `"shop"`); p.def.Family != "" && !familyForm.MatchString(p.def.Family) {
		p.fault(got[0].at, got[0].field, "%q has other characters than letters, digits, - and _, or more than 255", p.def.Family)
	}
	if !p.is(got[1], kindList, tree.at, `[{"name": "app", "image": "…"}]`) {
		return
	}
	if len(got[1].items) == 0 {
		p.fault(got[1].at, got[1].field, "is empty; a task has at least one container")
		return
	}
	for i, item := range got[1].items {
		p.container(value{item, fmt.Sprintf("%s[%d]", got[1].field, i)})
	}
	if !p.essential {
		p.fault(got[1].at, got[1].field, "has no essential container; at least one must be")
	}
}

// exact finds keys as they are written: those of the ECS API have one case.
func (p *definitionParser) exact(m value, names ...string) []value {
	found := make([]value, len(names))
	for i, name := range names {
		found[i].field = join(m.field, name)
		for _, e := range m.entries {
			if e.key == name {
				found[i].node = e.value
			}
		}
	}
	return found
}

func (p *definitionParser) container(v value) {
	if !p.is(v, kindMap, v.at, `{"name": "app", "image": "…"}`) {
		return
	}
	got := p.exact(v, "name", "image", "essential", "portMappings", "entryPoint", "command")
	c := Container{Name: p.text(got[0], v.at, `"app"`), Image: p.text(got[1], v.at, `"registry/app:1"`)}
	if _, twice := p.def.Container(c.Name); twice && c.Name != "" {
		p.fault(got[0].at, got[0].field, "%q is the name of another container already", c.Name)
	}
	switch e := got[2]; {
	case e.absent():
		p.essential = true
	case e.kind != kindBool:
		p.fault(e.at, e.field, "is %s; it must be true or false", e.kind)
	default:
		p.essential = p.essential || e.text == "true"
	}
	c.Ports = p.ports(got[3])
	c.EntryPoint, c.Command = p.list(got[4]), p.list(got[5])
	p.def.Containers = append(p.def.Containers, c)
}

func (p *definitionParser) ports(v value) (ports []int) {
	const example = `[{"containerPort": 80}]`
	if v.absent() || !p.is(v, kindList, v.at, example) {
		return nil
	}
	for i, item := range v.items {
		one := value{item, fmt.Sprintf("%s[%d]", v.field, i)}
		if !p.is(one, kindMap, item.at, `{"containerPort": 80}`) {
			continue
		}
		if port := p.exact(one, "containerPort")[0]; !port.absent() {
			ports = append(ports, p.number(port, 0, 65535))
		}
	}
	return ports
}

func (p *definitionParser) list(v value) (texts []string) {
	if v.absent() || !p.is(v, kindList, v.at, `["sh", "-c"]`) {
		return nil
	}
	for i, item := range v.items {
		if !item.scalar() {
			p.fault(item.at, fmt.Sprintf("%s[%d]", v.field, i), "is %s; it must be a text", item.kind)
			continue
		}
		texts = append(texts, item.text)
	}
	return texts
}

// Fits says what an AppSpec file names that its task definition does not have. data is the AppSpec file, for the places.
func (d TaskDefinition) Fits(spec Spec, data []byte) (faults []Fault) {
	at := func(key string) (position, string) {
		return locate(data, "Resources", spec.Resource, "Properties", "LoadBalancerInfo", key)
	}
	c, ok := d.Container(spec.ContainerName)
	if !ok {
		where, field := at("ContainerName")
		names := make([]string, len(d.Containers))
		for i, c := range d.Containers {
			names[i] = c.Name
		}
		return append(faults, where.fault(field, "%q is no container of the task definition; it has %q", spec.ContainerName, names))
	}
	if !slices.Contains(c.Ports, spec.ContainerPort) {
		where, field := at("ContainerPort")
		faults = append(faults, where.fault(field, "container %q of the task definition does not map port %d; its portMappings have %d", c.Name, spec.ContainerPort, c.Ports))
	}
	return faults
}
