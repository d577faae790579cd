package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/appspec"
	"greengate/internal/deploy"
	"greengate/internal/lazyregexp"
	"greengate/internal/preflight"
)

// pipelineFlags are those by which a pipeline says what it deploys: the files of CodePipeline's "Amazon ECS
// (Blue/Green)" action.
type pipelineFlags struct {
	appspec, taskdef   string
	images             []string
	application, group string
	service, cluster   string
	// aws is of check alone: ask AWS, or what AWS_ENDPOINT_URL names, and no controller.
	aws bool
}

func (f *pipelineFlags) register(cmd *cobra.Command) {
	s := cmd.Flags()
	s.StringVar(&f.appspec, "appspec", "", "AppSpec file, YAML or JSON; TaskDefinition: <TASK_DEFINITION> is what --taskdef registers")
	s.StringVar(&f.taskdef, "taskdef", "", "task definition file, JSON")
	s.StringArrayVar(&f.images, "image", nil, "NAME=URI replaces <NAME> in the task definition file; may be repeated")
	s.StringVar(&f.application, "application", "", "CodeDeploy application (default: see --service, else the only one)")
	s.StringVar(&f.group, "deployment-group", "", "deployment group (default: see --service, else the application's only one)")
	s.StringVar(&f.service, "service", "", "ECS service: application and group are then AppECS-CLUSTER-SERVICE and DgpECS-CLUSTER-SERVICE")
	s.StringVar(&f.cluster, "cluster", "default", "ECS cluster of --service")
}

// pipelineOnly are the flags that mean nothing without --appspec.
func pipelineOnly() []string {
	return []string{"taskdef", "image", "application", "deployment-group", "service", "cluster", "aws"}
}

// pipelineUsage refuses flags that do not go together.
func pipelineUsage(cmd *cobra.Command, f *pipelineFlags) error {
	if f.appspec != "" {
		return nil
	}
	for _, name := range pipelineOnly() {
		if f := cmd.Flag(name); f != nil && f.Changed {
			return usagef("--%s goes with --appspec", name)
		}
	}
	return nil
}

// pipelineRevision is what the files of a pipeline say.
type pipelineRevision struct {
	files pipelineFlags
	// appspecText is the AppSpec file as it is, definitionText the task definition with its images.
	appspecText, definitionText []byte
	spec                        appspec.Spec
	// open says that the AppSpec file takes the task definition that is registered.
	open       bool
	definition appspec.TaskDefinition
	findings   []deploy.Finding
}

// readPipeline reads the files of a pipeline. What is wrong in them is in its findings; the error is for files that
// cannot be read and for a command line that says nothing sensible.
func readPipeline(f pipelineFlags) (*pipelineRevision, error) {
	r := &pipelineRevision{files: f}
	images, err := readImages(f.images)
	if err != nil {
		return nil, err
	}
	if r.appspecText, err = readText(f.appspec); err != nil {
		return nil, err
	}
	var faults []appspec.Fault
	r.spec, r.open, faults = appspec.ParseTemplate(r.appspecText)
	r.fault(f.appspec, faults...)
	readable := len(faults) == 0
	for _, p := range appspec.Placeholders(r.appspecText) {
		if p.Name == appspec.TaskDefinitionPlaceholder && r.open {
			continue
		}
		p.Fault.Message = "the placeholder <" + p.Name + "> is filled in by nobody; in an AppSpec file only TaskDefinition: <TASK_DEFINITION> is"
		if !slices.ContainsFunc(faults, func(o appspec.Fault) bool { return o.Line == p.Fault.Line && o.Column == p.Fault.Column }) {
			r.fault(f.appspec, p.Fault)
		}
	}
	if f.taskdef == "" {
		r.withoutDefinition(images)
		return r, nil
	}
	text, err := readText(f.taskdef)
	if err != nil {
		return nil, err
	}
	r.readDefinition(text, images)
	if readable && !r.open {
		r.fault(f.appspec, r.atTaskDefinition("names %s itself, and --taskdef would register another; write <TASK_DEFINITION>, or leave --taskdef out", r.spec.TaskDefinition))
	}
	if readable && len(r.definition.Containers) > 0 {
		r.fault(f.appspec, r.definition.Fits(r.spec, r.appspecText)...)
	}
	return r, nil
}

func (r *pipelineRevision) withoutDefinition(images map[string]string) {
	if r.open {
		r.fault(r.files.appspec, r.atTaskDefinition("is the placeholder <TASK_DEFINITION>; name the file that is to be registered with --taskdef"))
	}
	if len(images) > 0 {
		r.findings = append(r.findings, deploy.Finding{
			Level: preflight.LevelError, Where: "--image", Message: "there is no task definition file to put an image into", Mend: "add --taskdef taskdef.json",
		})
	}
}

func (r *pipelineRevision) atTaskDefinition(format string, args ...any) appspec.Fault {
	line, column := appspec.TaskDefinitionAt(r.appspecText, r.spec)
	return appspec.Fault{Line: line, Column: column, Field: "TaskDefinition", Message: fmt.Sprintf(format, args...)}
}

// readDefinition fills the images in and reads the result. Places are those of the file before images were filled in,
// which lie in the same lines.
func (r *pipelineRevision) readDefinition(text []byte, images map[string]string) {
	var faults []appspec.Fault
	r.definitionText = appspec.Fill(text, images)
	r.definition, faults = appspec.ParseTaskDefinition(r.definitionText)
	r.fault(r.files.taskdef, faults...)
	if len(faults) > 0 {
		r.definition = appspec.TaskDefinition{}
	}
	used := map[string]bool{}
	for _, p := range appspec.Placeholders(text) {
		used[p.Name] = true
		if _, ok := images[p.Name]; ok {
			continue
		}
		p.Fault.Message = "the placeholder <" + p.Name + "> is not filled in; add --image " + p.Name + "=URI"
		r.fault(r.files.taskdef, p.Fault)
	}
	for _, name := range sortedKeys(images) {
		if !used[name] {
			r.findings = append(r.findings, deploy.Finding{
				Level: preflight.LevelError, Where: "--image", Message: "the placeholder <" + name + "> stands nowhere in " + r.files.taskdef,
				Mend: `write it where the image is to go: "image": "<` + name + `>"`,
			})
		}
	}
}

// fault adds faults of a file to the findings.
func (r *pipelineRevision) fault(file string, faults ...appspec.Fault) {
	for _, f := range faults {
		r.findings = append(r.findings, deploy.Finding{
			Level: preflight.LevelError, Where: fmt.Sprintf("%s:%d:%d", file, f.Line, f.Column), Field: f.Field, Message: f.Message,
		})
	}
}

// filled is the AppSpec file for a task definition.
func (r *pipelineRevision) filled(taskDefinition string) string {
	if !r.open {
		return string(r.appspecText)
	}
	return string(appspec.Fill(r.appspecText, map[string]string{appspec.TaskDefinitionPlaceholder: taskDefinition}))
}

var (
	imageName = lazyregexp.New(`^[A-Z][A-Z0-9_]*$`)
	imageURI  = lazyregexp.New(`^[!#-;=?-\[\]-~]+$`) // printable, no blank, and nothing that would end a JSON text or begin a placeholder
)

// readImages reads NAME=URI.
func readImages(flags []string) (map[string]string, error) {
	images := map[string]string{}
	for _, text := range flags {
		name, uri, ok := strings.Cut(text, "=")
		name = strings.Trim(name, "<>")
		switch {
		case !ok || !imageName.MatchString(name):
			return nil, usagef("--image %s is not NAME=URI with a NAME of capitals, for example IMAGE1_NAME=registry.example.com/shop:7", text)
		case !imageURI.MatchString(uri):
			return nil, usagef("--image %s: %q is not the URI of an image", name, uri)
		case images[name] != "":
			return nil, usagef("--image %s is given twice", name)
		}
		images[name] = uri
	}
	return images, nil
}

// maxPipelineFile is far above what CodeDeploy and ECS take.
const maxPipelineFile = 1 << 20

func readText(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the file that the caller names
	if err != nil {
		return nil, usage(fmt.Errorf("read %w", err))
	}
	defer file.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxPipelineFile+1))
	if err != nil {
		return nil, usage(fmt.Errorf("read %w", err))
	}
	if len(text) > maxPipelineFile {
		return nil, usagef("%s has more than %d bytes", path, maxPipelineFile)
	}
	return text, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
