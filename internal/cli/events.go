package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var patience time.Duration
	cmd := a.command(spec{
		use: "events [DEPLOYMENT]", group: groupLook, short: "Print the history of a deployment, or of all",
		long: `Prints what happened, oldest first: phases, verdicts, confirmed weights, notes, and the end. --follow prints what
happens from then on, until the named deployment has ended or until it is interrupted. With --json each event is one
line of JSON.`,
		example:  "  greengate events d-AB12CD34E\n  greengate events --follow --json",
		args:     atMost(1),
		complete: a.completeDeployments,
		run: func(ctx context.Context, args []string) error {
			id := ""
			if len(args) > 0 {
				id = args[0]
			}
			return a.events(ctx, id, follow, patience)
		},
	})
	cmd.Flags().BoolVar(&follow, "follow", false, "go on with what happens")
	cmd.Flags().DurationVar(&patience, "retry-for", defaultPatience, "how long to wait for a controller that does not answer")
	return cmd
}

func (a *app) events(ctx context.Context, id string, follow bool, patience time.Duration) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if !follow {
		patience = 0
	}
	w := &watcher{a: a, c: c, patience: patience}
	p := a.out()
	wait := false // the first answer is what happened so far
	for {
		in := deploy.EventsInput{Deployment: id, After: w.cursor}
		if wait {
			in.Wait = pollWait
		}
		var out deploy.EventsOutput
		err := w.retrying(ctx, func() error { return c.poll(ctx, "Events", in.Wait, in, &out) })
		switch {
		case follow && ctx.Err() != nil:
			return p.err // an interrupt is how following ends
		case err != nil:
			return err
		}
		a.printEvents(p, out.Events, id == "")
		more := len(out.Events) > 0 && out.Next > w.cursor
		w.cursor = max(w.cursor, out.Next)
		ended := id != "" && out.Status.Terminal()
		if p.err != nil || (!more && (!follow || ended)) {
			return p.err
		}
		if wait && !more {
			_ = rest(ctx, pause) // against a controller that does not block; an interrupt is seen above
		}
		wait = follow && !ended && !more
	}
}

func (a *app) printEvents(p *printer, events []deploy.HistoryEvent, all bool) {
	for _, e := range events {
		if a.json {
			p.jsonLine(e)
			continue
		}
		line := e.At.Local().Format(time.DateTime) + "  "
		if all {
			line += clean(e.Deployment) + "  "
		}
		p.line("%s", line+eventText(e.Record))
	}
}
