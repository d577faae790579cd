package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/appspec"
	"greengate/internal/deploy"
	"greengate/internal/lambdahook"
	"greengate/internal/preflight"
	"greengate/internal/scenario"
)

// watchFlags are those of watch.
type watchFlags struct {
	waitFlags
	aws, press bool
	functions  []string
	interval   time.Duration
}

func (a *app) watchCommand() *cobra.Command {
	var f watchFlags
	cmd := a.command(spec{
		use: "watch DEPLOYMENT", group: groupDeploy, short: "Follow a deployment of CodeDeploy, and its hooks' verdicts",
		long: `Follows a deployment by AWS's own APIs: its lifecycle events, and out of the logs of its hook functions the verdicts of
scenarios (greengate package hook), with the assertions that did not hold. With --aws it follows one in the account that
the environment has the keys of, or at AWS_ENDPOINT_URL; else one of the controller's.

With --continue-when-verified it presses "reroute traffic" while the deployment waits for it, once the last verdict of each
hook function before the switch is a pass. Functions that say no verdict are not believed: name those that count with
--function.

The exit codes are those of greengate deploy --wait. Amazon does not say whether production is well on the old version, so
what failed after traffic had moved is 5, and a rollback there is never called verified.`,
		example:  "  greengate watch d-AB12CD34E --aws\n  greengate watch d-AB12CD34E --aws --continue-when-verified --timeout 30m",
		args:     exactly(1, "the id of a deployment"),
		complete: a.completeDeployments,
		run:      func(ctx context.Context, args []string) error { return a.watchAWS(ctx, args[0], f) },
	})
	f.register(cmd, false)
	cmd.Flags().BoolVar(&f.aws, "aws", false, "in the account of the environment's AWS keys, or at AWS_ENDPOINT_URL")
	cmd.Flags().BoolVar(&f.press, "continue-when-verified", false, "reroute traffic once each hook function has said pass")
	cmd.Flags().StringArrayVar(&f.functions, "function", nil, "hook function whose log is read; repeat for more (default: those of the AppSpec file)")
	cmd.Flags().DurationVar(&f.interval, "interval", awsPoll, "time between two looks; Amazon throttles who looks more often")
	return cmd
}

func (a *app) watchAWS(ctx context.Context, id string, f watchFlags) error {
	if f.interval <= 0 {
		return usagef("--interval is more than 0s, not %s", f.interval)
	}
	c, err := a.connectAWS(f.aws)
	if err != nil {
		return err
	}
	defer c.close()
	w := &awsWatcher{watcher: watcher{a: a, c: c.client, patience: f.patience}, aws: c, interval: f.interval}
	w.hooks = &hookLogs{
		w: w, id: id, functions: f.functions, before: len(f.functions), known: len(f.functions) > 0, press: f.press,
		said: map[string]bool{}, warned: map[string]bool{}, verdicts: map[string]lambdahook.Verdict{},
	}
	return a.waitBy(ctx, w, id, f.waitFlags)
}

// hookLogs reads what the hook functions of one deployment say in their logs.
type hookLogs struct {
	w         *awsWatcher
	id        string
	functions []string // by name; of the AppSpec file those before the switch first
	before    int      // so many of them are before the switch
	known     bool     // that these are all
	press     bool     // reroute traffic when verified
	pressed   bool
	warned    map[string]bool
	// said are the events of logs that were read, verdicts the last one of each function.
	said     map[string]bool
	verdicts map[string]lambdahook.Verdict
}

// look reads what is new, and continues the deployment where that is asked for.
func (l *hookLogs) look(ctx context.Context, d awsDeployment) error {
	if l == nil || d.DeploymentID != l.id {
		return nil // the rollback's record has no hooks
	}
	if err := l.find(ctx, d); err != nil {
		return err
	}
	if err := l.read(ctx, d); err != nil {
		return err
	}
	// A log arrives later than what it tells of.
	for tries := 0; d.Status == deploy.StatusFailed && tries < 3 && len(l.functions) > 0 && len(l.verdicts) == 0; tries++ {
		if err := rest(ctx, l.w.interval); err != nil {
			return err
		}
		if err := l.read(ctx, d); err != nil {
			return err
		}
	}
	if l.press && !l.pressed && d.Status == deploy.StatusReady {
		return l.reroute(ctx)
	}
	return nil
}

// ask asks AWS. What it refuses is said once and passed over: the deployment goes on whether we see its logs or not.
func (l *hookLogs) ask(ctx context.Context, what, mend string, question func() error) error {
	err := l.w.retrying(ctx, question)
	if _, ok := errors.AsType[*wireError](err); !ok {
		return err
	}
	l.warn(what + " cannot be read: " + strings.TrimSuffix(err.Error(), ".") + "; " + mend)
	return nil
}

func (l *hookLogs) warn(text string) {
	if !l.warned[text] {
		l.warned[text] = true
		l.w.say("%-8s  %s", "note", oneLine(text))
	}
}

// find asks for the AppSpec file, which names the functions. One in a bucket is not read.
func (l *hookLogs) find(ctx context.Context, d awsDeployment) error {
	if l.known {
		return nil
	}
	l.known = true
	type content struct {
		Content string `json:"content"`
	}
	var out struct {
		Revision struct {
			AppSpec content `json:"appSpecContent"`
			String  content `json:"string"`
		} `json:"revision"`
	}
	in := map[string]any{"applicationName": d.ApplicationName, "revision": d.Revision}
	mend := "name the hook functions with --function"
	if !l.w.aws.at.AWS {
		mend += ", or follow the deployment of a greengate.yaml, which has none, with greengate wait " + l.id
	}
	err := l.ask(ctx, "the AppSpec file", mend, func() error {
		return l.w.aws.codedeploy(ctx, "GetApplicationRevision", in, &out)
	})
	if err != nil {
		return err
	}
	spec, _ := appspec.Parse([]byte(orElse(out.Revision.AppSpec.Content, out.Revision.String.Content)))
	for _, h := range spec.Hooks { // in the order of their events
		name := preflight.FunctionName(h.Name)
		if h.Kind != deploy.HookFunction || slices.Contains(l.functions, name) {
			continue
		}
		l.functions = append(l.functions, name)
		if h.Event != deploy.PhaseBeforeAllowTraffic && h.Event != deploy.PhaseAfterAllowTraffic {
			l.before = len(l.functions)
		}
	}
	return nil
}

// logEvent is one line of a function's log. Time is in milliseconds since 1970.
type logEvent struct {
	ID      string `json:"eventId"`
	Time    int64  `json:"timestamp"`
	Message string `json:"message"`
}

// read reads the logs of all functions.
func (l *hookLogs) read(ctx context.Context, d awsDeployment) error {
	for _, name := range l.functions {
		events, err := l.lines(ctx, name, d)
		if err != nil {
			return err
		}
		slices.SortStableFunc(events, func(a, b logEvent) int { return cmp.Compare(a.Time, b.Time) })
		l.tell(name, events)
	}
	return nil
}

// maxPages bounds how much of a log is read at a time.
const maxPages = 20

// lines are those of a function's log that name the deployment. A log that is not there yet has none.
func (l *hookLogs) lines(ctx context.Context, name string, d awsDeployment) ([]logEvent, error) {
	group := "/aws/lambda/" + name
	in := map[string]any{
		"logGroupName": group, "startTime": int64(d.CreateTime * 1000), "filterPattern": `"deployment=` + l.id + `"`,
	}
	var all []logEvent
	for range maxPages {
		var page struct {
			Events []logEvent `json:"events"`
			Next   string     `json:"nextToken"`
		}
		err := l.ask(ctx, "the log "+group, "its verdict is not seen", func() error {
			err := l.w.aws.logs(ctx, "FilterLogEvents", in, &page)
			if named(err, "ResourceNotFound") {
				return nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		all = append(all, page.Events...)
		if page.Next == "" {
			break
		}
		in["nextToken"] = page.Next
	}
	return all, nil
}

// tell prints the verdicts that are new, and of each that is no pass what did not hold.
func (l *hookLogs) tell(name string, events []logEvent) {
	var last scenario.Result
	for _, e := range events {
		if r, of, ok := lambdahook.ParseResult(e.Message); ok && of == l.id {
			last = r
			continue
		}
		v, ok := lambdahook.ParseVerdict(e.Message)
		if !ok || v.Deployment != l.id || l.said[name+e.ID+e.Message] {
			continue
		}
		l.said[name+e.ID+e.Message] = true
		l.verdicts[name] = v
		l.w.say("%-8s  %s  %s: %s", "verdict", clean(name), v.Verdict, clean(v.Text))
		if v.Verdict != scenario.Pass {
			l.explain(last)
		}
	}
}

// explain prints the steps of a result that did not pass.
func (l *hookLogs) explain(r scenario.Result) {
	var b bytes.Buffer
	for _, s := range r.Steps {
		if s.Verdict == scenario.Fail || s.Verdict == scenario.Error {
			_ = scenario.WriteStep(&b, s, l.w.a.colourful())
		}
	}
	for line := range strings.Lines(b.String()) {
		l.w.say("%s", strings.TrimRight(line, "\n"))
	}
}

// unverified says what is missing to a pass of every function before the switch; empty for nothing.
func (l *hookLogs) unverified() string {
	if l.before == 0 {
		return "no hook function before the switch is known; name them with --function"
	}
	for _, name := range l.functions[:l.before] {
		v, ok := l.verdicts[name]
		switch {
		case !ok:
			return name + " has said no verdict in its log"
		case v.Verdict != scenario.Pass:
			return name + " has said " + string(v.Verdict)
		}
	}
	return ""
}

// reroute presses "reroute traffic" if the new version is verified.
func (l *hookLogs) reroute(ctx context.Context) error {
	if why := l.unverified(); why != "" {
		l.warn("not continued: " + why)
		return nil
	}
	in := map[string]string{"deploymentId": l.id, "deploymentWaitType": "READY_WAIT"}
	err := l.w.aws.codedeploy(ctx, "ContinueDeployment", in, &struct{}{})
	switch {
	case named(err, "DeploymentIsNotInReadyState"):
		return nil // it went on, or has ended: the next look says
	case transient(err):
		return nil // the next look tries again
	case err != nil:
		return fmt.Errorf("continue deployment: %w", err)
	}
	l.pressed = true
	l.w.say("%-8s  rerouting traffic: every hook before the switch has passed", "continue")
	return nil
}
