package config

import (
	"errors"
	"path/filepath"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
)

// maxBundle bounds the files of one scenario in bytes, as they are packed: they are part of the service, and of every
// deployment of it.
const maxBundle = 128 << 10

// scenarioOnly refuses settings that only a scenario has.
func (d *decoder) scenarioOnly(h *deploy.Hook, field string) {
	if h.Kind == deploy.HookScenario {
		return
	}
	for _, key := range []string{"vars", "allow"} {
		if _, ok := d.at[field+"."+key]; ok {
			d.fault(field+"."+key, "is for a scenario alone")
		}
	}
}

// scenarioFile takes the scenario into the service as it is now: what is deployed is what was read here.
func (d *decoder) scenarioFile(field string, h *deploy.Hook) {
	if h.Scenario == nil || h.Scenario.File == "" || d.blamed(field+".scenario") {
		return
	}
	at := field + ".scenario"
	s, err := scenario.Load(h.Scenario.File)
	var bad *scenario.FileError
	switch {
	case errors.As(err, &bad):
		for _, f := range bad.Faults {
			d.fault(at, "%s", f)
		}
		return
	case err != nil:
		d.fault(at, "%s cannot be read: %s", h.Scenario.File, cause(err))
		return
	}
	if onProduction(field) {
		for _, err := range onlyBefore(s, scenario.Effect(h.Scenario.Allow)) {
			d.fault(at, "%s", err)
		}
	} else if err := s.Refused(scenario.Effect(h.Scenario.Allow)); err != nil {
		d.fault(at, "%s; allow: in the hook allows more", err)
	}
	if err := s.CheckVars(h.Scenario.Vars); err != nil {
		d.fault(at, "%s", err)
	}
	bundle, err := scenario.Pack(s.Files)
	switch {
	case err != nil:
		d.fault(at, "%s", err)
	case len(bundle) > maxBundle:
		d.fault(at, "has files of %d bytes, packed; %d is the limit", len(bundle), maxBundle)
	}
	h.Scenario.File, h.Scenario.Bundle, h.Scenario.Digest = filepath.Base(h.Scenario.File), bundle, s.Digest
}

// onProduction reports whether the hooks at a field look at the production address.
func onProduction(field string) bool {
	return within(field, "smoke") || within(field, "hooks."+string(deploy.PhaseAfterAllowTraffic))
}
