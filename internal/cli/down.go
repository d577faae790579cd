package cli

import (
	"context"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) downCommand() *cobra.Command {
	return a.command(spec{
		use: "down", group: groupRun, short: "Drain and stop everything",
		long: `Ends the whole installation: traffic is drained, every task is stopped, and then greengate serve ends too. The data
stays; greengate serve on the same folder begins with the services stopped. To end only the control plane and leave the
services running, send SIGTERM to greengate serve.`,
		example: "  greengate down\n  greengate down --data /var/lib/greengate",
		args:    cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			var out deploy.DownOutput
			if err := a.call(ctx, "Down", deploy.DownInput{}, &out); err != nil {
				return err
			}
			return a.doneWith(out, "stopped %s and %s", plural(out.Services, "service"), plural(out.TaskSets, "task set"))
		},
	})
}
