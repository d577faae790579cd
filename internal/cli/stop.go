package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
)

// stopInput is StopDeploymentInput of the CodeDeploy model; nil leaves the rollback to the service's policy.
type stopInput struct {
	DeploymentID string `json:"deploymentId"`
	AutoRollback *bool  `json:"autoRollbackEnabled,omitempty"`
}

type stopOutput struct {
	Status  string `json:"status"`
	Message string `json:"statusMessage"`
}

func (a *app) stopCommand() *cobra.Command {
	var rollback string
	cmd := a.command(spec{
		use: "stop DEPLOYMENT", group: groupDeploy, short: "Stop a deployment",
		long: `Asks a running deployment to stop, also in the middle of a step. Whether traffic goes back to the old version is what
the service file says (rollback), unless --rollback says it here. The exit code 0 says that the stop was accepted;
greengate wait says how it ended.`,
		example:  "  greengate stop d-AB12CD34E\n  greengate stop d-AB12CD34E --rollback=false",
		args:     exactly(1, "the id of a deployment"),
		complete: a.completeDeployments,
		run: func(ctx context.Context, args []string) error {
			return a.stop(ctx, args[0], rollback)
		},
	})
	cmd.Flags().StringVar(&rollback, "rollback", "", "true or false: go back to the old version, or leave traffic as it is")
	cmd.Flags().Lookup("rollback").NoOptDefVal = "true"
	return cmd
}

func (a *app) stop(ctx context.Context, id, rollback string) error {
	in := stopInput{DeploymentID: id}
	if rollback != "" {
		back, err := strconv.ParseBool(rollback)
		if err != nil {
			return usagef("--rollback is true or false, not %q", rollback)
		}
		in.AutoRollback = &back
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	var out stopOutput
	if err := c.codedeploy(ctx, "StopDeployment", in, &out); err != nil {
		return err
	}
	if a.json {
		return a.out().json(out)
	}
	p := a.note()
	p.line("deployment %s is told to stop; greengate wait %s says how it ends", id, id)
	return p.err
}
