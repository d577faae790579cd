package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/deploy"
)

// deploymentModel is all that the page of a deployment shows.
type deploymentModel struct {
	D       deploy.DeploymentView
	Events  []deploy.HistoryEvent
	Ledger  []deploy.LedgerVersion
	Targets []deploy.TaskSetView
	// Logs are the last lines of hooks, by their names.
	Logs map[string]hookLog
	// Unknown says what could not be read now, and why.
	Unknown []string
}

// hookLog is the end of what a hook printed.
type hookLog struct {
	Lines   []string
	Ended   bool
	Problem string
}

// Seq is the place in the history that the model has seen.
func (m deploymentModel) Seq() int64 {
	if len(m.Events) == 0 {
		return 0
	}
	return m.Events[len(m.Events)-1].Seq
}

// busy is how often a deployment in progress is looked at beside its events.
const busy = time.Second

func (c *Console) deploymentView() view {
	return view{
		template: "deployment", nav: "deployments", load: c.loadDeployment,
		title: func(model any) string {
			m, _ := model.(deploymentModel)
			return m.D.Service + " " + m.D.To + ", " + m.D.ID
		},
		every: func(model any) time.Duration {
			if m, ok := model.(deploymentModel); ok && !m.D.Status.Terminal() {
				return busy
			}
			return 0
		},
	}
}

const (
	eventsShown = 1000
	logShown    = 200 // lines of the hook that runs
	logOfEnded  = 60  // lines of one that has ended
	hooksLogged = 8
	logAnswers  = 16 // of 256 KiB that are read of one log
)

func (c *Console) loadDeployment(ctx context.Context, v visitor, at place) (any, error) {
	var m deploymentModel
	var err error
	m.D, err = ask[deploy.DeploymentView](ctx, c, v, "DescribeDeployment", deploy.DeploymentInput{ID: at.id})
	if err != nil {
		return nil, err
	}
	events, err := ask[deploy.EventsOutput](ctx, c, v, "Events", deploy.EventsInput{Deployment: at.id, Limit: eventsShown})
	m.note("the history", err)
	m.Events = events.Events
	ledger, err := ask[deploy.LedgerOutput](ctx, c, v, "DescribeLedger", deploy.DeploymentInput{ID: at.id})
	m.note("the ledger", err)
	m.Ledger = ledger.Versions
	targets, err := ask[deploy.DescribeTargetsOutput](ctx, c, v, "DescribeTargets", deploy.DeploymentInput{ID: at.id})
	m.note("the health of targets", err)
	m.Targets = targets.TaskSets
	for i := range m.Targets {
		slices.SortFunc(m.Targets[i].Tasks, func(a, b deploy.TaskView) int { return strings.Compare(a.ID, b.ID) })
	}
	m.Logs = c.loadLogs(ctx, v, m.D)
	if m.D.Running != nil { // who may look may not report
		running := *m.D.Running
		running.ExecutionID = ""
		m.D.Running = &running
	}
	return m, nil
}

// note remembers what could not be read. The page shows the rest.
func (m *deploymentModel) note(what string, err error) {
	if err == nil {
		return
	}
	why := "an internal error"
	if e, ok := errorNamed(err); ok {
		why = e.Message
	}
	m.Unknown = append(m.Unknown, what+": "+why)
}

// loadLogs reads the ends of the hooks' logs: of the one that runs, and of those that ran last.
func (c *Console) loadLogs(ctx context.Context, v visitor, d deploy.DeploymentView) map[string]hookLog {
	logs := map[string]hookLog{}
	read := func(hook string, lines int) {
		if _, done := logs[hook]; done || len(logs) >= hooksLogged {
			return
		}
		in := deploy.LogsInput{Deployment: d.ID, Hook: hook, Tail: lines}
		out, err := ask[deploy.LogsOutput](ctx, c, v, "Logs", in)
		l := hookLog{Lines: out.Lines, Ended: out.Ended}
		// Long lines come in several answers, and the newest matter most.
		for range logAnswers {
			if err != nil || len(out.Lines) == 0 || out.Ended || out.Next <= in.After {
				break
			}
			in.After, in.Tail = out.Next, 0
			out, err = ask[deploy.LogsOutput](ctx, c, v, "Logs", in)
			l.Lines, l.Ended = append(l.Lines, out.Lines...), out.Ended
		}
		l.Lines = l.Lines[max(0, len(l.Lines)-lines):]
		if e, ok := errorNamed(err); ok {
			l.Problem = e.Message
		}
		logs[hook] = l
	}
	if d.Running != nil {
		read(d.Running.Hook, logShown)
	}
	for _, verdict := range slices.Backward(d.Verdicts) {
		read(verdict.Hook, logOfEnded)
	}
	return logs
}

// action is something that a button does.
type action struct {
	operation string
	input     func(id string) any
}

func actions() map[string]action {
	stop := func(back bool) func(string) any {
		return func(id string) any {
			return codedeploy.StopDeploymentInput{DeploymentID: id, AutoRollbackEnabled: &back}
		}
	}
	proceed := func(wait codedeploy.DeploymentWaitType) func(string) any {
		return func(id string) any {
			return codedeploy.ContinueDeploymentInput{DeploymentID: id, DeploymentWaitType: wait}
		}
	}
	return map[string]action{
		deploy.ActionReroute:  {"ContinueDeployment", proceed(codedeploy.DeploymentWaitTypeReadyWait)},
		deploy.ActionEndBake:  {"ContinueDeployment", proceed(codedeploy.DeploymentWaitTypeTerminationWait)},
		deploy.ActionStop:     {"StopDeployment", stop(false)},
		deploy.ActionStopBack: {"StopDeployment", stop(true)},
	}
}

// act does what a button says, on the revision of the deployment that its page showed.
func (c *Console) act(w http.ResponseWriter, r *http.Request, v visitor) {
	id, name := r.PathValue("id"), r.PathValue("action")
	a, ok := actions()[name]
	if !ok {
		c.fail(w, r, v, &awsapi.Error{Name: "NotFound", Message: "There is no such action.", Status: http.StatusNotFound})
		return
	}
	seen, err := strconv.ParseInt(r.PostForm.Get("revision"), 10, 64)
	if err != nil || seen <= 0 {
		c.fail(w, r, v, &awsapi.Error{Name: "ValidationException", Message: "The form names no revision of the deployment; load the page again."})
		return
	}
	_, err = c.api.Do(r.Context(), awsapi.InsideCall{
		By: v.session.Principal, Service: "codedeploy", Operation: a.operation, Input: a.input(id), Seen: seen, Source: v.source, Agent: v.agent,
	})
	if err == nil {
		http.Redirect(w, r, "/console/deployments/"+url.PathEscape(id)+"?done="+name, http.StatusSeeOther) //nolint:gosec // a path of ours
		return
	}
	c.refused(w, r, v, err)
}

// refused shows the deployment as it is now, with the reason why nothing was done.
func (c *Console) refused(w http.ResponseWriter, r *http.Request, v visitor, refusal error) {
	e, ok := errorNamed(refusal)
	model, err := c.loadDeployment(r.Context(), v, place{id: r.PathValue("id")})
	if !ok || err != nil || e.Name == "InternalFailure" {
		c.fail(w, r, v, refusal)
		return
	}
	status := http.StatusConflict
	if e.Name == "AccessDeniedException" {
		status = http.StatusForbidden
	}
	c.show(w, r, v, shown{view: c.deploymentView(), model: model, alert: "Nothing was done: " + e.Message, status: status})
}

// doneNote says what a button has begun.
func doneNote(name string) string {
	switch name {
	case deploy.ActionReroute:
		return "Rerouting was asked for: production traffic moves to the new version."
	case deploy.ActionEndBake:
		return "The end of the bake was asked for: the old version is drained and stopped."
	case deploy.ActionStop:
		return "The stop was asked for: traffic stays where it is."
	case deploy.ActionStopBack:
		return "The stop was asked for: production goes back to the old version."
	}
	return ""
}
