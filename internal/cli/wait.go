package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) waitCommand() *cobra.Command {
	var f waitFlags
	cmd := a.command(spec{
		use: "wait DEPLOYMENT", group: groupDeploy, short: "Wait for a deployment and say how it ended",
		long: `Prints what happened to a deployment so far and what happens to it until it has ended, and where it is rolled back
until that has ended too. The exit codes are those of greengate deploy --wait. It survives a restart of the controller;
an interrupt ends the waiting and not the deployment.`,
		example:  "  greengate wait d-AB12CD34E\n  greengate wait d-AB12CD34E --timeout 10m --json",
		args:     exactly(1, "the id of a deployment"),
		complete: a.completeDeployments,
		run: func(ctx context.Context, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			defer c.close()
			return a.wait(ctx, c, args[0], f)
		},
	})
	f.register(cmd, false)
	return cmd
}
