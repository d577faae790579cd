package hook

import (
	"errors"

	"greengate/internal/deploy"
	"greengate/internal/shadow"
)

// A shadow is a unit of the runner as a scenario is, and leaves the same kind of result. The data plane copies requests for
// as long as the unit asks for them.

// shadowProgram leaves for the unit what it is to compare, and says how it is run.
func (h *Hooks) shadowProgram(id string, call deploy.HookCall) ([]string, error) {
	s := call.Hook.Shadow
	if s == nil || (call.Blue == "" && !call.First) || call.List.OnProduction() {
		return nil, deploy.Permanent(errors.New("there is no live traffic of an old version to compare with"))
	}
	j := shadow.Job{
		ID: id, Name: call.Hook.Name, Blue: call.Blue, Green: call.TaskSet.ID, First: call.First, Percent: s.Percent, For: s.For,
		Minimum: s.Minimum, Headers: s.Headers, Ignore: s.Ignore, MaxDiffering: s.MaxDiffering, MaxLatencyRatio: s.MaxLatencyRatio,
		Socket: h.cfg.ProxySocket, Result: h.result(id),
	}
	return []string{h.cfg.Executable, shadow.Arg, h.job(id)}, shadow.WriteJob(h.job(id), j)
}
