package rehearse

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/trial"
)

// Options of a rehearsal.
type Options struct {
	// Executable is the greengate binary that is driven, and that is the programs of the faults.
	Executable string
	// Service is what is rehearsed, as the file File describes it.
	Service deploy.Service
	File    string
	// Only are the names of faults; none are all.
	Only []string
	// Env are variables over those of the service, and over those of the same name of its hooks.
	Env map[string]string
	// Load is the path that the load asks for; empty takes that of the health check, else "/".
	Load string
	// Minute is how long a minute of bake and traffic interval lasts.
	Minute time.Duration
	// Limit is how long one deployment may take.
	Limit time.Duration
	// Environ is the environment of greengate serve: PATH and HOME.
	Environ []string
	// Keep leaves the folder of the installation.
	Keep bool
	// Progress is told what happens, in lines.
	Progress io.Writer
}

// stage is the installation in which the rehearsal runs.
type stage struct {
	o       Options
	in      *trial.Installation
	log     *journal
	service deploy.Service
	load    *trial.Load
	digest  string // of the revision that production must be on
}

// Run rehearses. Its error says that the rehearsal could not be held; what went otherwise than expected is in the report.
func Run(ctx context.Context, o Options) (r Report, err error) {
	list, err := chosen(o.Only)
	if err != nil {
		return r, &CodedError{Code: codeUsage, Text: err.Error()}
	}
	begin := time.Now()
	s := &stage{o: o, log: &journal{}}
	s.in, err = trial.Open(ctx, trial.Options{
		Executable: o.Executable, Name: "rehearsal", Env: o.Environ, Log: s.log, Keep: o.Keep,
		// Load balancers of another installation have addresses of the network that is the default.
		Serve: []string{"--minute", o.Minute.String(), "--load-balancers", "127.78.0.0/16"},
	})
	if err != nil {
		return r, fmt.Errorf("open scratch installation: %w\n%s", err, s.log.since(0))
	}
	defer func() {
		if s.load != nil {
			s.load.Stop()
		}
		err = errors.Join(err, s.in.Close())
	}()
	if err := s.prepare(ctx); err != nil {
		return r, err
	}
	s.say("rehearsing %s %s: production %s, folder %s", s.service.Name, s.service.Version, s.service.Production, s.in.Dir)
	r = Report{File: o.File, Service: s.service.Name, Version: s.service.Version, AsExpected: true, Start: begin.UTC()}
	if o.Keep {
		r.Folder = s.in.Dir
	}
	if err := s.playAll(ctx, list, &r); err != nil {
		return r, err
	}
	if s.load != nil {
		r.Requests = s.load.Stop()
	}
	r.Seconds = time.Since(begin).Seconds()
	return r, nil
}

var errInterrupted = errors.New("the rehearsal was interrupted")

func (s *stage) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.o.Progress, format+"\n", args...) // what is shown is no part of the outcome
}

// playAll plays the faults one after the other. Where one leaves the service in an unknown state the others prove nothing.
func (s *stage) playAll(ctx context.Context, list []fault, r *Report) error {
	lost := ""
	for _, f := range list {
		row := Row{Fault: f.name, Title: f.title, Expected: s.expected(f)}
		if lost == "" {
			s.say("%-18s %s ...", f.name, f.title)
			lost = s.play(ctx, f, &row)
		} else {
			row.Outcome, row.Why = notRun, []string{lost}
		}
		if ctx.Err() != nil {
			return errInterrupted
		}
		row.AsExpected = len(row.Why) == 0
		r.AsExpected = r.AsExpected && row.AsExpected
		r.Rows = append(r.Rows, row)
		s.say("%-18s %s in %.1f s", "", row.Outcome, row.Seconds)
		for _, why := range row.Why {
			s.say("%-18s ! %s", "", why)
		}
	}
	return nil
}

// expected is what becomes of the fault in this service: one without a rollback stays where the switch left it.
func (s *stage) expected(f fault) Outcome {
	if f.want == RolledBack && !s.service.Rollback.OnFailure {
		return LeftThere
	}
	return f.want
}

// ended is the document of greengate wait.
type ended struct {
	Deployment deploy.DeploymentView  `json:"deployment"`
	Rollback   *deploy.DeploymentView `json:"rollback"`
	ExitCode   int                    `json:"exitCode"`
}

// play deploys one version and fills the row with what became of it. It says why nothing more can be played, if so.
func (s *stage) play(ctx context.Context, f fault, row *Row) (over string) {
	begin, mark := time.Now(), s.log.size()
	total, failed := s.counted()
	svc := s.version(f)
	e, err := s.deploy(ctx, f, svc)
	row.Seconds = time.Since(begin).Seconds()
	row.Deployment, row.Reason = e.Deployment.ID, e.Deployment.Reason
	row.Outcome = outcome(e, err)
	if err != nil {
		row.blame("%s", err)
	}
	if row.Outcome != row.Expected {
		row.blame("%s instead of %s%s", row.Outcome, row.Expected, because(e.Deployment))
	} else if f.reason != "" && row.Reason != f.reason {
		row.blame("the reason is %s instead of %s: %s", row.Reason, f.reason, e.Deployment.Message)
	}
	if f.verdict != "" && !slices.ContainsFunc(e.Deployment.Verdicts, func(v deploy.Verdict) bool {
		return v.Hook == ownHook && v.Status == f.verdict
	}) {
		row.blame("the fault did not come about: its hook has no verdict %s", f.verdict)
	}
	if row.Outcome == Promoted || row.Outcome == LeftThere {
		s.digest = svc.Revision().Digest
	}
	s.whereIsProduction(ctx, e, row)
	if s.load == nil {
		s.startLoad(ctx, row)
	} else {
		s.countLost(row, total, failed)
	}
	if len(row.Why) > 0 {
		row.Log = s.log.since(mark)
	}
	switch {
	case !e.Deployment.Status.Terminal():
		return "the deployment before, " + f.name + ", has not ended"
	case s.load == nil:
		return "no version is in production"
	}
	return ""
}

func because(d deploy.DeploymentView) string {
	if d.Message == "" {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", d.Reason, d.Message)
}

// deploy runs one deployment to its end.
func (s *stage) deploy(ctx context.Context, f fault, svc deploy.Service) (ended, error) {
	var e ended
	content, err := json.Marshal(svc)
	if err != nil {
		return e, fmt.Errorf("encode service: %w", err)
	}
	file := filepath.Join(s.in.Dir, f.name+".json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return e, fmt.Errorf("write service: %w", err)
	}
	var started deploy.ApplyServiceOutput
	if _, err := s.in.Ask(ctx, &started, "deploy", "--described", file); err != nil {
		return e, err
	}
	beside, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var besideErr error
	if f.beside != nil {
		wg.Go(func() { besideErr = f.beside(beside, s) })
	}
	if svc.Promotion == deploy.PromoteManual {
		wg.Go(func() { s.carryOn(beside, started.DeploymentID) })
	}
	_, err = s.in.Ask(ctx, &e, "wait", started.DeploymentID, "--timeout", s.o.Limit.String())
	cancel(errors.New("the deployment has ended before"))
	wg.Wait()
	return e, errors.Join(err, besideErr)
}

// carryOn is the person who lets a deployment with promote: manual go on. Where it never gets that far, nobody does.
func (s *stage) carryOn(ctx context.Context, id string) {
	for pause(ctx, 10*holdPoll) == nil {
		var view deploy.DeploymentView
		if _, err := s.in.Ask(ctx, &view, "status", id); err == nil && view.Waiting.For == deploy.WaitReady {
			var answer json.RawMessage
			if code, err := s.in.Ask(ctx, &answer, "continue", id); err == nil && code == 0 {
				return
			}
		}
	}
}

// outcome puts the end of a deployment into a word, by the exit code that greengate deploy --wait would have.
func outcome(e ended, err error) Outcome {
	d := e.Deployment
	switch {
	case d.ID == "" && err != nil:
		return "not deployed"
	case e.ExitCode == 0 && d.Status == deploy.StatusSucceeded:
		return Promoted
	case e.ExitCode == 4 && !d.Moved:
		return NeverMoved
	case e.ExitCode == 4:
		return RolledBack
	case e.ExitCode == 5 && d.Moved && e.Rollback == nil && !d.Halted:
		return LeftThere
	case e.ExitCode == 7:
		return "not ended in time"
	}
	return Outcome(fmt.Sprintf("exit code %d", e.ExitCode))
}

// whereIsProduction asks the controller which revision serves, and the data plane which task sets have served.
func (s *stage) whereIsProduction(ctx context.Context, e ended, row *Row) {
	if e.Deployment.ID == "" {
		return
	}
	var now deploy.ServiceView
	if _, err := s.in.Ask(ctx, &now, "status", s.service.Name); err != nil {
		row.blame("%s", err)
		return
	}
	if now.Digest != s.digest {
		row.blame("production is on the revision %.12q instead of %.12q", now.Digest, s.digest)
	}
	var doc struct {
		Ledger []deploy.LedgerVersion `json:"ledger"`
	}
	if _, err := s.in.Ask(ctx, &doc, "status", e.Deployment.ID); err != nil {
		row.blame("%s", err)
		return
	}
	served := 0
	for _, v := range doc.Ledger {
		row.Cut += v.Cut
		if v.Requests > 0 {
			served++
		}
	}
	if row.Outcome == NeverMoved && served > 1 {
		row.blame("%d task sets have served production requests, though it never moved", served)
	}
}

// pace is a load that a small service on a busy machine bears.
var pace = trial.Pace{Workers: 4, Pause: 5 * time.Millisecond}

// startLoad begins the load once there is something to ask.
func (s *stage) startLoad(ctx context.Context, row *Row) {
	if row.Outcome != Promoted {
		return
	}
	path := s.o.Load
	if h := s.service.Workload.Health; path == "" && h != nil && h.Type == "http" {
		path = h.Path
	}
	if path == "" {
		path = "/"
	}
	s.load = trial.StartLoad(context.WithoutCancel(ctx), "http://"+s.service.Production, pace, trial.Shot{
		Method: http.MethodGet, Path: path, Judge: func(status int, body string) (string, error) {
			if status >= http.StatusInternalServerError {
				return "", fmt.Errorf("status %d: %.200s", status, strings.TrimSpace(body))
			}
			return "", nil
		},
	})
}

func (s *stage) counted() (total, failed int64) {
	if s.load == nil {
		return 0, 0
	}
	return s.load.Counted()
}

// countLost holds the load against what it had counted before. That nothing was lost says something only where
// something was sent.
func (s *stage) countLost(row *Row, total, failed int64) {
	nowTotal, nowFailed := s.counted()
	row.Requests, row.Lost = nowTotal-total, nowFailed-failed
	switch {
	case row.Lost > 0:
		row.blame("%d of %d requests were lost", row.Lost, row.Requests)
	case row.Requests == 0:
		row.blame("no request was answered while it ran")
	}
}

// journal keeps what the commands of the installation say, for those that went wrong.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) size() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Len()
}

// since is what was written after a mark, at most the last lines of it.
func (j *journal) since(mark int) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(j.buf.Bytes()[mark:])), "\n")
	const most = 40
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
