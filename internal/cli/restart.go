package cli

import (
	"context"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) restartCommand() *cobra.Command {
	var f waitFlags
	cmd := a.command(spec{
		use: "restart SERVICE", group: groupDeploy, short: "Replace the tasks of a service by new ones",
		long: `Starts fresh tasks of the running version, as a deployment: the new tasks are proven before the old ones go. Use it
when something outside of the version has changed, such as the env_file.`,
		example:  "  greengate restart checkout --wait",
		args:     exactly(1, "the name of a service"),
		complete: a.completeServices,
		run: func(ctx context.Context, args []string) error {
			return a.start(ctx, started{what: "restart of " + args[0]}, "RestartService", deploy.ServiceInput{Name: args[0]}, f)
		},
	})
	f.register(cmd, true)
	return cmd
}
