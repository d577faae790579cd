package appspec

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"greengate/internal/deploy"
)

// TaskDefinitionPlaceholder is the name of the placeholder <TASK_DEFINITION> in an AppSpec file, which CodePipeline's
// CodeDeployToECS action replaces with the ARN of the task definition that it registered (CodePipeline user guide,
// "Amazon ECS and CodeDeploy blue-green deployment action reference").
const TaskDefinitionPlaceholder = "TASK_DEFINITION"

// standIn has the form of a task definition and the length of <TASK_DEFINITION>, so that places stay what they are.
const standIn = TaskDefinitionPlaceholder + ":1"

// placeholderForm is what counts as a placeholder: capitals, as all documented ones have.
var placeholderForm = regexp.MustCompile(`<([A-Z][A-Z0-9_]*)>`)

// Fill replaces each placeholder <NAME> with its value, in the text as it is written.
func Fill(data []byte, values map[string]string) []byte {
	return placeholderForm.ReplaceAllFunc(data, func(found []byte) []byte {
		if v, ok := values[string(found[1:len(found)-1])]; ok {
			return []byte(v)
		}
		return found
	})
}

// ParseTemplate is Parse for a file whose task definition may be <TASK_DEFINITION>; open says whether it is.
func ParseTemplate(data []byte) (spec Spec, open bool, faults []Fault) {
	spec, faults = Parse(Fill(data, map[string]string{TaskDefinitionPlaceholder: standIn}))
	return spec, spec.TaskDefinition == standIn, faults
}

// Placeholder is one that stands in a file.
type Placeholder struct {
	Name string
	// Fault is its place, with a message that is still to be written.
	Fault Fault
}

// Placeholders finds those in the values of a file, in the order of the file. In a comment there are none.
func Placeholders(data []byte) []Placeholder {
	tree, faults := readTree(data)
	if len(faults) > 0 || tree == nil {
		return nil
	}
	var found []Placeholder
	var walk func(v value)
	walk = func(v value) {
		for _, m := range placeholderForm.FindAllStringSubmatch(v.text, -1) {
			found = append(found, Placeholder{Name: m[1], Fault: v.at.fault(v.field, "")})
		}
		for i, item := range v.items {
			walk(value{item, fmt.Sprintf("%s[%d]", v.field, i)})
		}
		for _, e := range v.entries {
			walk(value{e.value, join(v.field, e.key)})
		}
	}
	walk(value{tree, ""})
	slices.SortStableFunc(found, func(a, b Placeholder) int {
		return cmp.Or(cmp.Compare(a.Fault.Line, b.Fault.Line), cmp.Compare(a.Fault.Column, b.Fault.Column))
	})
	return found
}

// HookAt is the place of the hook of an event in an AppSpec file.
func HookAt(data []byte, event deploy.Phase) (line, column int) {
	at, _ := locate(data, "Hooks", string(event))
	return at.line, at.column
}

// TaskDefinitionAt is the place of the task definition in an AppSpec file.
func TaskDefinitionAt(data []byte, spec Spec) (line, column int) {
	at, _ := locate(data, "Resources", spec.Resource, "Properties", "TaskDefinition")
	return at.line, at.column
}

// locate finds the value under keys, whatever their case, through any list; the start of the file where there is none.
func locate(data []byte, keys ...string) (position, string) {
	tree, _ := readTree(data)
	found := value{tree, ""}
	for _, key := range keys {
		next := step(found, key)
		if next.node == nil {
			return position{1, 1}, found.field
		}
		found = next
	}
	return found.at, found.field
}

func step(v value, key string) value {
	if v.node == nil {
		return value{}
	}
	for i, item := range v.items {
		if next := step(value{item, fmt.Sprintf("%s[%d]", v.field, i)}, key); next.node != nil {
			return next
		}
	}
	for _, e := range v.entries {
		if strings.EqualFold(e.key, key) {
			return value{e.value, join(v.field, e.key)}
		}
	}
	return value{}
}
