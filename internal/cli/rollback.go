package cli

import (
	"context"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) rollbackCommand() *cobra.Command {
	var f waitFlags
	var to string
	cmd := a.command(spec{
		use: "rollback SERVICE", group: groupDeploy, short: "Deploy an earlier version again",
		long: `Starts a deployment of an earlier version of a service: of the last one that succeeded before the running one, or of
the one that --to names. It passes the same hooks as any other. To take back a deployment that still runs, stop it.`,
		example:  "  greengate rollback checkout --wait\n  greengate rollback checkout --to v1",
		args:     exactly(1, "the name of a service"),
		complete: a.completeServices,
		run: func(ctx context.Context, args []string) error {
			in := deploy.RollbackServiceInput{Name: args[0], To: to}
			return a.start(ctx, started{what: "rollback of " + args[0]}, "RollbackService", in, f)
		},
	})
	f.register(cmd, true)
	cmd.Flags().StringVar(&to, "to", "", "version to go back to")
	return cmd
}

// start does an action that starts a deployment, and waits for it where that is wanted.
func (a *app) start(ctx context.Context, s started, action string, in any, f waitFlags) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	var out deploy.DeploymentStarted
	if err := c.call(ctx, action, in, &out); err != nil {
		return err
	}
	s.id, s.document = out.DeploymentID, out
	if s.id == "" {
		return a.doneWith(out, "%s: done without a deployment", s.what)
	}
	return a.startedDeployment(ctx, c, s, f)
}

// doneWith prints the document with --json, and else a note.
func (a *app) doneWith(document any, format string, args ...any) error {
	if a.json {
		return a.out().json(document)
	}
	p := a.note()
	p.line(format, args...)
	return p.err
}
