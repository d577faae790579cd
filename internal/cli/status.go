package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
	"greengate/internal/lazyregexp"
)

func (a *app) statusCommand() *cobra.Command {
	return a.command(spec{
		use: "status [SERVICE|DEPLOYMENT]", group: groupLook, short: "Show a service or a deployment as it is now",
		long: `Shows a service with its task sets and tasks, and why the last new version did not go live where it did not; or a
deployment with its lifecycle, its verdicts and the requests that were counted while traffic moved. Without a name it lists the services. The exit code says that there was an answer;
greengate wait gives one for how a deployment ended.`,
		example:  "  greengate status checkout\n  greengate status d-AB12CD34E --json",
		args:     atMost(1),
		complete: a.completeBoth,
		run: func(ctx context.Context, args []string) error {
			if len(args) == 0 {
				return a.list(ctx)
			}
			return a.status(ctx, args[0])
		},
	})
}

var deploymentID = lazyregexp.New(`^d-[A-Z0-9]{6,}$`)

// status asks first for what the name looks like, then for the other.
func (a *app) status(ctx context.Context, name string) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	order := []func(context.Context, *client, string) error{a.serviceStatus, a.deploymentStatus}
	if deploymentID.MatchString(name) {
		order[0], order[1] = order[1], order[0]
	}
	first := order[0](ctx, c, name)
	if !isNotFound(first) {
		return first
	}
	if err := order[1](ctx, c, name); !isNotFound(err) {
		return err
	}
	return withHint(usagef("there is no service and no deployment %q", name), "greengate list and greengate history show what there is")
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*wireError](err)
	if !ok {
		return false
	}
	name := e.Name()
	return name == "notfound" || name == "resourcenotfound" || strings.HasSuffix(name, "doesnotexist")
}

func (a *app) serviceStatus(ctx context.Context, c *client, name string) error {
	var s deploy.ServiceView
	if err := c.call(ctx, "DescribeService", deploy.ServiceInput{Name: name}, &s); err != nil {
		return err
	}
	p := a.out()
	if a.json {
		return p.json(s)
	}
	p.line("service     %s %s", clean(s.Name), clean(s.Version))
	p.line("production  %s", clean(s.Production))
	if s.Test != "" {
		p.line("test        %s", clean(s.Test))
	}
	if s.Deployment != "" {
		p.line("deployment  %s %s", clean(s.Deployment), clean(lastStatus(s)))
	}
	a.lastFailure(ctx, c, p, s)
	for _, set := range s.TaskSets {
		p.line("")
		test := ""
		if set.Test {
			test = ", serves the test listener"
		}
		p.line("task set %s  version %s  %d%% of production  %d running and %d healthy of %d%s", clean(set.ID),
			orDash(clean(set.Version)), set.Weight, set.Running, set.Healthy, set.Desired, test)
		if rows := taskRows(set.Tasks); len(rows) > 0 {
			p.table("TASK STATE HEALTH ADDRESS PID RESTARTS REASON", rows)
		}
	}
	return p.err
}

// lastFailure says why the last new version did not go live: the question with which somebody looks at a service.
func (a *app) lastFailure(ctx context.Context, c *client, p *printer, s deploy.ServiceView) {
	id := s.RolledBack
	if id == "" && s.DeploymentStatus.Terminal() && s.DeploymentStatus != deploy.StatusSucceeded {
		id = s.Deployment
	}
	if id == "" {
		return
	}
	p.line("")
	var d deploy.DeploymentView
	if c.call(ctx, "DescribeDeployment", deploy.DeploymentInput{ID: id}, &d) != nil { // one who may see services alone sees them
		p.line("why: greengate status %s", clean(id))
		return
	}
	p.line("%s, %s to %s: %s", clean(d.ID), orDash(clean(d.From)), orDash(clean(d.To)), statusText(d))
	for _, v := range d.Verdicts {
		if v.Status == deploy.VerdictPass {
			continue
		}
		a.verdict(p, d.ID, v)
	}
}

func (a *app) verdict(p *printer, deployment string, v deploy.Verdict) {
	for _, line := range a.verdictLines(deployment, v) {
		p.line("%s", line)
	}
}

func taskRows(tasks []deploy.TaskView) [][]string {
	rows := make([][]string, len(tasks))
	for i, t := range tasks {
		pid, why := "", t.Reason
		if t.PID > 0 {
			pid = strconv.Itoa(t.PID)
		}
		if len(t.NotEnforced) > 0 {
			why = strings.TrimSpace(why + " (not enforced: " + strings.Join(t.NotEnforced, ", ") + ")")
		}
		rows[i] = []string{t.ID, t.State, t.Health, t.Address, pid, strconv.Itoa(t.Restarts), oneLine(why)}
	}
	return rows
}

// deploymentDocument is the document of status DEPLOYMENT.
type deploymentDocument struct {
	deploy.DeploymentView
	Ledger []deploy.LedgerVersion `json:"ledger"`
}

func (a *app) deploymentStatus(ctx context.Context, c *client, id string) error {
	doc := deploymentDocument{Ledger: []deploy.LedgerVersion{}}
	if err := c.call(ctx, "DescribeDeployment", deploy.DeploymentInput{ID: id}, &doc.DeploymentView); err != nil {
		return err
	}
	var ledger deploy.LedgerOutput
	if err := c.call(ctx, "DescribeLedger", deploy.DeploymentInput{ID: id}, &ledger); err != nil && !isNotFound(err) {
		return err
	}
	doc.Ledger = append(doc.Ledger, ledger.Versions...)
	p := a.out()
	if a.json {
		return p.json(doc)
	}
	a.deploymentHead(p, doc.DeploymentView)
	a.lifecycle(p, doc.DeploymentView)
	for i, v := range doc.Verdicts {
		if i == 0 {
			p.line("")
		}
		a.verdict(p, doc.ID, v)
	}
	printLedger(p, doc.Ledger)
	return p.err
}

func (a *app) deploymentHead(p *printer, d deploy.DeploymentView) {
	now := a.env.Now()
	p.line("deployment  %s  %s of %s, %s to %s", clean(d.ID), d.Kind, clean(d.Service), orDash(clean(d.From)), orDash(clean(d.To)))
	p.line("status      %s", statusText(d))
	by := ""
	if d.StartedBy != "" {
		by = " by " + clean(d.StartedBy)
	}
	p.line("created     %s%s", ago(now, d.CreatedAt), by)
	if d.Description != "" {
		p.line("note        %s", oneLine(d.Description))
	}
	p.line("traffic     blue %d%%, green %d%%", d.Weights.Blue, d.Weights.Green)
	if d.Waiting.For != "" && !d.Status.Terminal() {
		p.line("waiting     %s", waitingText(d))
	}
	if r := d.Running; r != nil {
		p.line("running     hook %s (%s), for %s", clean(r.Hook), r.Event, coarse(now.Sub(r.Started)))
	}
	if d.Switch > 0 {
		p.line("switch      confirmed in %s", took(d.Switch))
	}
	if d.Back > 0 {
		p.line("way back    confirmed in %s", took(d.Back))
	}
	if d.WayBack.Checked && !d.WayBack.Verified {
		p.line("warning     no verified way back: %s", orDash(oneLine(d.WayBack.Message)))
	}
	if d.Halted {
		p.line("halted      traffic was left as it is")
	}
	a.rollbackHead(p, d)
}

func statusText(d deploy.DeploymentView) string {
	status := string(d.Status)
	if !d.Status.Terminal() {
		status += " in " + string(d.Phase)
	}
	if why := reasonText(d.Reason, d.Message); why != "" {
		status += ": " + why
	}
	return status
}

func (a *app) rollbackHead(p *printer, d deploy.DeploymentView) {
	r := d.Rollback
	switch {
	case d.Kind == deploy.KindRollback && d.Status.Terminal():
		verified := "not verified"
		if r.Verified {
			verified = "verified"
		}
		p.line("rollback    of %s, %s", orDash(clean(r.TriggeringID)), verified)
	case d.Kind == deploy.KindRollback:
		p.line("rollback    of %s", orDash(clean(r.TriggeringID)))
	case r.DeploymentID != "":
		p.line("rollback    %s", clean(r.DeploymentID))
	case r.Message != "":
		p.line("rollback    %s", oneLine(r.Message))
	}
}

func (a *app) lifecycle(p *printer, d deploy.DeploymentView) {
	if len(d.Lifecycle) == 0 {
		return
	}
	rows := make([][]string, len(d.Lifecycle))
	for i, e := range d.Lifecycle {
		lasted := ""
		switch {
		case e.Start.IsZero():
		case !e.End.IsZero():
			lasted = took(e.End.Sub(e.Start))
		default:
			lasted = coarse(a.env.Now().Sub(e.Start))
		}
		rows[i] = []string{string(e.Name), string(e.Status), lasted, reasonText(e.Reason, e.Message)}
	}
	p.line("")
	p.table("EVENT STATUS TOOK REASON", rows)
}

func printLedger(p *printer, versions []deploy.LedgerVersion) {
	if len(versions) == 0 {
		return
	}
	rows := make([][]string, len(versions))
	for i, v := range versions {
		rows[i] = []string{
			v.Version, fmt.Sprint(v.Requests), fmt.Sprint(v.Served), fmt.Sprint(v.Failed), fmt.Sprint(v.Retried),
			fmt.Sprint(v.Cut), fmt.Sprint(v.ClientCut), took(v.P50), took(v.P99),
		}
	}
	p.line("")
	p.table("VERSION REQUESTS SERVED FAILED RETRIED CUT CLIENT-CUT P50 P99", rows)
}
