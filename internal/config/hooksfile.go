package config

import (
	"errors"
	"fmt"
	"path/filepath"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
)

// LoadHooks reads the file of hooks that AppSpec files name as scenario:NAME, command:NAME and task:NAME. Its entries are
// those of greengate.yaml, each with a name of its own; paths are made absolute against the file's folder, and scenarios
// are taken in. What is wrong with the content comes as a *FileError with every fault.
func LoadHooks(path string) ([]deploy.Hook, error) {
	content, err := readBounded(path, maxFileSize)
	if err != nil {
		return nil, fmt.Errorf("read hooks: %w", err)
	}
	folder, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("resolve folder of %s: %w", path, err)
	}
	hooks, faults := parseHooks(content, folder)
	if err := fileError(path, faults); err != nil {
		return nil, err
	}
	return hooks, nil
}

func parseHooks(content []byte, folder string) ([]deploy.Hook, []Fault) {
	tree, faults := parseYAML(content)
	if tree == nil {
		return nil, faults
	}
	d := newDecoder(folder, tree)
	d.faults = faults
	var hooks []deploy.Hook
	d.fields(tree, "", map[string]setter{"hooks": d.hookList(func(list []deploy.Hook) { hooks = list })})
	if tree.kind == kindMapping && len(hooks) == 0 && !d.blamed("hooks") {
		d.fault("hooks", "is empty; list the hooks that AppSpec files may name")
	}
	taken := map[string]bool{}
	for i := range hooks {
		field := fmt.Sprintf("hooks[%d]", i)
		d.registered(&hooks[i], field)
		name := string(hooks[i].Kind) + ":" + hooks[i].Name
		if taken[name] {
			d.fault(field+".name", "there is another %s", name)
		}
		taken[name] = true
	}
	return hooks, d.faults
}

// registered checks one hook of the file as far as it can be without a service.
func (d *decoder) registered(h *deploy.Hook, field string) {
	d.settle(h, d.folder)
	if h.Name == "" && !d.blamed(field+".name") {
		d.fault(field, "has no name; AppSpec files name it")
	}
	if h.Kind == deploy.HookFunction {
		d.fault(field+".function", "is named by AppSpec files by its own name; create it with the Lambda API")
		return
	}
	if h.Kind == deploy.HookShadow {
		d.fault(field+".shadow", "compares what the listeners of a greengate.yaml service carry; AppSpec files cannot name it")
		return
	}
	for _, f := range deploy.ValidateHook(field, *h) {
		if !d.blamed(f.Field) {
			d.fault(f.Field, "%s", f.Message)
		}
	}
	if h.Dir != "" && h.Dir != d.folder {
		if fault := folderFault(h.Dir); fault != "" {
			d.fault(field+".dir", "%s", fault)
		}
	}
	switch h.Kind {
	case deploy.HookCommand:
		d.program(field+".command", h.Command, h.Dir, h.Env["PATH"])
	case deploy.HookScenario:
		d.scenarioFile(field, h)
	case deploy.HookTask, deploy.HookFunction, deploy.HookShadow: // a task's program is in the folder of a service
	}
}

// CheckPlace says why a hook with a scenario that was taken in cannot run in an event, or nil.
func CheckPlace(h deploy.Hook, event deploy.Phase) error {
	if h.Scenario == nil || event != deploy.PhaseAfterAllowTraffic {
		return nil
	}
	files, err := scenario.Unpack(h.Scenario.Bundle)
	if err != nil {
		return err
	}
	s, err := scenario.LoadFiles(h.Scenario.File, files)
	if err != nil {
		return err
	}
	return errors.Join(onlyBefore(s, scenario.Effect(h.Scenario.Allow))...)
}

// onlyBefore are the reasons for which a scenario cannot run on the production address.
func onlyBefore(s *scenario.Scenario, allow scenario.Effect) []error {
	var faults []error
	if allow == "" {
		allow = scenario.EffectRead
	}
	if err := s.Refused(allow); err != nil {
		faults = append(faults, fmt.Errorf("runs on the production address: %w; allow: in the hook allows more", err))
	}
	if s.Compares() {
		faults = append(faults, errors.New("compares with the old version, which does not have the production address any more; use it in a hook before the switch"))
	}
	if s.ExpectsTaskSet() {
		faults = append(faults, fmt.Errorf("expects the header %s, which the production address does not give; expect a header or a field of the service", scenario.HeaderTaskSet))
	}
	return faults
}
