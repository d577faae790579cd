package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

// waitFlags are those of every command that can wait for a deployment.
type waitFlags struct {
	wait     bool
	timeout  time.Duration
	patience time.Duration
}

const defaultPatience = time.Minute

func (f *waitFlags) register(cmd *cobra.Command, optional bool) {
	if optional {
		cmd.Flags().BoolVarP(&f.wait, "wait", "w", false, "wait until it has ended; the exit code says how")
	} else {
		f.wait = true
	}
	cmd.Flags().DurationVar(&f.timeout, "timeout", 0, "stop waiting after this time, with exit code 7 (default: wait on)")
	cmd.Flags().DurationVar(&f.patience, "retry-for", defaultPatience, "how long to wait for a controller that does not answer")
}

var (
	errTimeLimit = errors.New("the time limit of the wait")
	errDetached  = errors.New("the wait was interrupted")
)

// waitResult is the document of a wait.
type waitResult struct {
	Deployment deploy.DeploymentView  `json:"deployment"`
	Rollback   *deploy.DeploymentView `json:"rollback,omitempty"`
	ExitCode   int                    `json:"exitCode"`
}

// wait follows a deployment, and the record of its rollback, to the end. Its error holds the exit code.
func (a *app) wait(ctx context.Context, c *client, id string, f waitFlags) error {
	return a.waitBy(ctx, &watcher{a: a, c: c, patience: f.patience}, id, f)
}

// follower follows a deployment until it has ended, by whatever says how it goes.
type follower interface {
	follow(ctx context.Context, id string) (deploy.DeploymentView, error)
}

// waitBy is wait with one follower for the deployment and the record of its rollback.
func (a *app) waitBy(ctx context.Context, w follower, id string, f waitFlags) error {
	limited, cancel := ctx, context.CancelFunc(func() {})
	if f.timeout > 0 {
		limited, cancel = context.WithTimeoutCause(ctx, f.timeout, errTimeLimit)
	}
	defer cancel()
	var result waitResult
	var err error
	result.Deployment, err = w.follow(limited, id)
	if back := result.Deployment.Rollback.DeploymentID; err == nil && back != "" {
		a.note().line("rollback  %s", clean(back))
		var record deploy.DeploymentView
		record, err = w.follow(limited, back)
		result.Rollback = &record
	}
	switch {
	case ctx.Err() != nil:
		return a.notFinished(result, errDetached, id)
	case limited.Err() != nil:
		return a.notFinished(result, errTimeLimit, id)
	case err != nil:
		return fmt.Errorf("wait for %s: %w", id, err)
	}
	result.ExitCode = outcome(result.Deployment, result.Rollback)
	if err := a.printResult(result); err != nil {
		return err
	}
	return exitWith(result.ExitCode)
}

// notFinished ends a wait that did not see the end. The deployment goes on.
func (a *app) notFinished(result waitResult, why error, id string) error {
	result.ExitCode = ExitRunning
	if a.json {
		if err := a.out().json(result); err != nil {
			return err
		}
	}
	err := fmt.Errorf("deployment %s has not ended: %w has come", id, why)
	if errors.Is(why, errDetached) {
		err = fmt.Errorf("deployment %s has not ended: %w", id, why)
	}
	return &exitError{ExitRunning, withHint(err, "it goes on; come back to it with greengate wait %s", id)}
}

func (a *app) printResult(r waitResult) error {
	if a.json {
		return a.out().json(r)
	}
	p := a.out()
	d := r.Deployment
	colour, said := green, "Succeeded"
	if r.ExitCode != ExitDone {
		colour, said = red, string(d.Status)
	}
	text := fmt.Sprintf("%s %s: %s", clean(d.Service), clean(d.To), a.colour(colour, said))
	if !d.CompletedAt.IsZero() {
		text += " in " + took(d.CompletedAt.Sub(d.CreatedAt))
	}
	if why := reasonText(d.Reason, d.Message); why != "" && d.Status != deploy.StatusSucceeded {
		text += ": " + why
	}
	p.line("%s", text)
	if d.Status != deploy.StatusSucceeded || d.Kind == deploy.KindRollback {
		p.line("%s", productionText(r))
	}
	return p.err
}

// productionText says where production is after a deployment that did not succeed.
func productionText(r waitResult) string {
	d, from := r.Deployment, orDash(clean(r.Deployment.From))
	switch {
	case d.Kind == deploy.KindRollback && r.ExitCode == ExitDone:
		return "production is verified on " + orDash(clean(d.To))
	case d.Halted:
		return "production was left as it is: the old version was not well enough to go back to"
	case !d.Moved && d.Kind == deploy.KindDeploy && d.From == "":
		return "production has no version yet"
	case !d.Moved && d.Kind == deploy.KindDeploy:
		return "production never left " + from
	case r.ExitCode == ExitFailedSafe || r.ExitCode == ExitStopped:
		return "production is back on " + from + ", verified"
	case r.Rollback != nil || d.Kind == deploy.KindRollback:
		return "production was rolled back, but it is not verified: look at it"
	}
	return "production was not rolled back: look at it"
}

// watcher prints what happens to a deployment, and nothing twice.
type watcher struct {
	a        *app
	c        *client
	patience time.Duration

	cursor   int64
	verdicts int // that were printed
	waiting  deploy.Waiting
	drawn    bool // the status line stands on the terminal
}

const (
	pollWait = 20 * time.Second
	redraw   = time.Second
	// pause is between polls that were answered at once with nothing.
	pause = 200 * time.Millisecond
)

func (w *watcher) follow(ctx context.Context, id string) (deploy.DeploymentView, error) {
	w.cursor, w.verdicts, w.waiting = 0, 0, deploy.Waiting{}
	defer w.erase()
	var view deploy.DeploymentView
	for {
		ended := view.Status.Terminal() // then this poll brings what is left, if anything
		news, err := w.poll(ctx, id, view.ID == "" || ended)
		if err != nil {
			return view, err
		}
		if view, err = w.describe(ctx, id); err != nil {
			return view, err
		}
		w.print(news.Events, view)
		w.cursor = max(w.cursor, news.Next)
		if ended && len(news.Events) == 0 {
			w.printVerdicts(view, len(view.Verdicts))
			return view, nil
		}
		w.draw(view)
	}
}

// poll asks for news. atOnce does not wait for any: at first, and when nothing more can come.
func (w *watcher) poll(ctx context.Context, id string, atOnce bool) (deploy.EventsOutput, error) {
	in := deploy.EventsInput{Deployment: id, After: w.cursor, Wait: pollWait}
	if w.a.redraws() {
		in.Wait = redraw
	}
	if atOnce {
		in.Wait = 0
	}
	var out deploy.EventsOutput
	begin := w.a.env.Now()
	err := w.retrying(ctx, func() error { return w.c.poll(ctx, "Events", in.Wait, in, &out) })
	if err == nil && len(out.Events) == 0 && !atOnce && w.a.env.Now().Sub(begin) < pause {
		err = rest(ctx, pause)
	}
	return out, err
}

func (w *watcher) describe(ctx context.Context, id string) (deploy.DeploymentView, error) {
	var view deploy.DeploymentView
	err := w.retrying(ctx, func() error {
		return w.c.call(ctx, "DescribeDeployment", deploy.DeploymentInput{ID: id}, &view)
	})
	return view, err
}

// retrying repeats a question while the controller is away, for as long as patience lasts.
func (w *watcher) retrying(ctx context.Context, ask func() error) error {
	const longest = 2 * time.Second
	delay := 50 * time.Millisecond
	var since time.Time
	for {
		err := ask()
		if err == nil || !transient(err) || ctx.Err() != nil {
			return err
		}
		if since.IsZero() {
			since = w.a.env.Now()
			w.lost(err)
		}
		if w.a.env.Now().Sub(since) >= w.patience {
			return err
		}
		if err := rest(ctx, delay); err != nil {
			return err
		}
		delay = min(2*delay, longest)
	}
}

// lost says that the controller is away. It goes to standard error, since results may be going to the other.
func (w *watcher) lost(err error) {
	if w.patience <= 0 || w.a.quiet {
		return
	}
	w.erase()
	p := printer{w: w.a.env.Stderr}
	p.line("greengate: %s; asking again for %s", clean(err.Error()), w.patience)
}

// rest waits, or ends with ctx.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *watcher) print(events []deploy.HistoryEvent, view deploy.DeploymentView) {
	for _, e := range events {
		if e.Kind == deploy.RecordVerdict && w.verdicts < len(view.Verdicts) {
			w.printVerdicts(view, w.verdicts+1)
			continue
		}
		w.say("%s", eventText(e.Record))
	}
	if view.Waiting != w.waiting && view.Waiting.For != "" && !view.Status.Terminal() {
		w.say("waiting   %s", waitingText(view))
	}
	w.waiting = view.Waiting
}

func (w *watcher) printVerdicts(view deploy.DeploymentView, upTo int) {
	for ; w.verdicts < upTo; w.verdicts++ {
		for _, line := range w.a.verdictLines(view.ID, view.Verdicts[w.verdicts]) {
			w.say("%s", line)
		}
	}
}

// say prints a line of progress above the status line.
func (w *watcher) say(format string, args ...any) {
	w.erase()
	w.a.note().line(format, args...)
}

func waitingText(view deploy.DeploymentView) string {
	text := "for " + view.Waiting.For
	if !view.Waiting.Until.IsZero() {
		text += " until " + clock(view.Waiting.Until)
	}
	return text + "; go on with greengate continue " + view.ID
}

func clock(t time.Time) string { return t.Local().Format("15:04:05") }

// eventText is one record of the history on one line.
func eventText(r deploy.Record) string {
	what := reasonText(r.Reason, r.Message)
	if r.Kind == deploy.RecordPhase || r.Kind == deploy.RecordEnd {
		what = strings.TrimSpace(string(r.Phase) + "  " + what)
	}
	return strings.TrimSpace(fmt.Sprintf("%-8s  %s", clean(r.Kind), what))
}

// draw shows where the deployment is on the last line of a terminal.
func (w *watcher) draw(view deploy.DeploymentView) {
	if !w.a.redraws() || view.Status.Terminal() {
		return
	}
	w.erase()
	text := fmt.Sprintf("%s %s  %s  %s  green %d%%  (interrupt to detach)", clean(view.Service), clean(view.To), view.Phase,
		coarse(w.a.env.Now().Sub(view.CreatedAt)), view.Weights.Green)
	if limit := w.a.env.Width - 1; len(text) > limit {
		text = text[:limit]
	}
	w.a.note().raw(text)
	w.drawn = true
}

// erase takes the status line away.
func (w *watcher) erase() {
	if w.drawn {
		w.a.note().raw("\r\x1b[2K")
		w.drawn = false
	}
}

// redraws reports whether progress goes to a terminal.
func (a *app) redraws() bool { return a.env.StdoutTerminal && !a.quiet && !a.json }
