package app

import (
	"errors"
	"fmt"

	"greengate/internal/appspec"
	"greengate/internal/config"
	"greengate/internal/deploy"
)

// registered is the hook that an AppSpec file names as scenario:NAME, command:NAME or task:NAME. The file of serve --hooks
// is read anew for each deployment, which keeps what was in it then.
func (w *wire) registered(h appspec.Hook, testListener bool) (deploy.Hook, error) {
	unknown := fmt.Errorf("no %s '%s' is registered with the service", h.Kind, h.Name)
	if w.hooks == "" {
		return deploy.Hook{}, fmt.Errorf("%w: greengate serve has no --hooks", unknown)
	}
	all, err := config.LoadHooks(w.hooks)
	if err != nil {
		return deploy.Hook{}, err
	}
	for _, own := range all {
		if own.Kind != h.Kind || own.Name != h.Name {
			continue
		}
		if own.Kind != deploy.HookScenario {
			return own, nil
		}
		switch {
		case h.Event == deploy.PhaseBeforeInstall:
			return own, fmt.Errorf("the scenario '%s' cannot run in BeforeInstall: the new version does not run yet", h.Name)
		case !testListener && h.Event != deploy.PhaseAfterAllowTraffic:
			return own, errors.New("a scenario needs a test listener: before the switch the new version is reached there alone")
		}
		if err := config.CheckPlace(own, h.Event); err != nil {
			return own, fmt.Errorf("the scenario '%s' %w", h.Name, err)
		}
		return own, nil
	}
	return deploy.Hook{}, unknown
}
