package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine/enginetest"
)

// TestEngine_seesAlarmsAtOnce: an alarm does not wait for the next look.
func TestEngine_seesAlarmsAtOnce(t *testing.T) {
	t.Parallel()
	y := story{plan: func(p *deploy.Plan) { p.Alarms, p.Bake = []string{"5xx"}, 10*time.Minute }}
	synctest.Test(t, func(t *testing.T) {
		const look = 10 * time.Millisecond
		s := newStage(t, enginetest.Config{}, slowPace, look)
		y.set(s)
		s.open()
		s.create(y.request())
		s.phase(deploy.PhaseTerminationWait)
		s.pause(slowPace.Watch + slowPace.Watch/4)
		raised := time.Now()
		s.w.Raise("5xx", true)
		s.until("stopped", func(d deploy.Deployment) bool { return d.Cause != nil })
		if late := time.Since(raised); late > 2*look {
			t.Errorf("the alarm was seen after %s", late)
		}
		s.over()
		s.close()
	})
}
