package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

type logFlags struct {
	task, hook string
	follow     bool
	tail       int
	patience   time.Duration
}

func (a *app) logsCommand() *cobra.Command {
	var f logFlags
	cmd := a.command(spec{
		use: "logs", group: groupLook, short: "Print the output of a task or a hook",
		long: `Prints what a task or a hook wrote to its standard output and error. --task takes the id that greengate status shows,
--hook a deployment and the name of a hook. --follow prints what is added until the end, or until it is interrupted.
With --json each line is one line of JSON.

A log is kept in files of 10 MiB. The newest is printed; what was before it stands beside it in the data folder, in runner/logs.`,
		example: "  greengate logs --task 3f2a --tail 100 --follow\n  greengate logs --hook d-AB12CD34E/e2e",
		args:    cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			in, err := f.input()
			if err != nil {
				return usage(err)
			}
			return a.logs(ctx, in, f)
		},
	})
	cmd.Flags().StringVar(&f.task, "task", "", "id of a task")
	cmd.Flags().StringVar(&f.hook, "hook", "", "DEPLOYMENT/HOOK")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "go on with what is added")
	cmd.Flags().IntVarP(&f.tail, "tail", "n", 0, "begin with the last lines only (default: all of the newest file)")
	cmd.Flags().DurationVar(&f.patience, "retry-for", defaultPatience, "how long to wait for a controller that does not answer")
	cmd.MarkFlagsOneRequired("task", "hook")
	cmd.MarkFlagsMutuallyExclusive("task", "hook")
	return cmd
}

func (f logFlags) input() (deploy.LogsInput, error) {
	in := deploy.LogsInput{Task: f.task, Tail: f.tail}
	if f.tail < 0 {
		return in, errors.New("--tail must not be negative")
	}
	if f.hook != "" {
		deployment, hook, ok := strings.Cut(f.hook, "/")
		if !ok || deployment == "" || hook == "" {
			return in, errors.New("--hook is DEPLOYMENT/HOOK, for example d-AB12CD34E/e2e")
		}
		in.Deployment, in.Hook = deployment, hook
	}
	return in, nil
}

func (a *app) logs(ctx context.Context, in deploy.LogsInput, f logFlags) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if !f.follow {
		f.patience = 0
	}
	w := &watcher{a: a, c: c, patience: f.patience}
	p := a.out()
	for {
		var out deploy.LogsOutput
		err := w.retrying(ctx, func() error { return c.poll(ctx, "Logs", in.Wait, in, &out) })
		switch {
		case f.follow && ctx.Err() != nil:
			return p.err
		case err != nil:
			return err
		}
		for _, line := range out.Lines {
			a.printLog(p, line)
		}
		more := len(out.Lines) > 0 && out.Next > in.After
		if p.err != nil || (!more && (out.Ended || !f.follow)) {
			return p.err
		}
		if in.Wait > 0 && !more {
			_ = rest(ctx, pause) // against a controller that does not block; an interrupt is seen above
		}
		in.After, in.Tail, in.Wait = max(in.After, out.Next), 0, 0
		if !more {
			in.Wait = pollWait
		}
	}
}

func (a *app) printLog(p *printer, line string) {
	if !a.json {
		p.raw(line + "\n") // a log is printed as it was written
		return
	}
	p.jsonLine(map[string]string{"line": line})
}
