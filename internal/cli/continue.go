package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

// continueInput is ContinueDeploymentInput of the CodeDeploy model.
type continueInput struct {
	DeploymentID string `json:"deploymentId"`
	WaitType     string `json:"deploymentWaitType"`
}

func (a *app) continueCommand() *cobra.Command {
	var waitType string
	cmd := a.command(spec{
		use: "continue DEPLOYMENT", group: groupDeploy, short: "End the wait of a deployment",
		long: `Lets a deployment go on that waits: before the switch for your decision (READY_WAIT, promote: manual), or after it with
the old version kept warm (TERMINATION_WAIT, bake). Without --wait-type it is the wait in which the deployment is.`,
		example:  "  greengate continue d-AB12CD34E\n  greengate continue d-AB12CD34E --wait-type TERMINATION_WAIT",
		args:     exactly(1, "the id of a deployment"),
		complete: a.completeDeployments,
		run: func(ctx context.Context, args []string) error {
			return a.endWait(ctx, args[0], waitType)
		},
	})
	cmd.Flags().StringVar(&waitType, "wait-type", "", "READY_WAIT or TERMINATION_WAIT")
	return cmd
}

func (a *app) endWait(ctx context.Context, id, waitType string) error {
	waitType = strings.ToUpper(waitType)
	if waitType != "" && waitType != deploy.WaitReady && waitType != deploy.WaitTermination {
		return usagef("--wait-type is %s or %s, not %q", deploy.WaitReady, deploy.WaitTermination, waitType)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if waitType == "" {
		var view deploy.DeploymentView
		if err := c.call(ctx, "DescribeDeployment", deploy.DeploymentInput{ID: id}, &view); err != nil {
			return err
		}
		if waitType = view.Waiting.For; waitType == "" {
			waitType = deploy.WaitReady // the controller knows the right refusal
		}
	}
	if err := c.codedeploy(ctx, "ContinueDeployment", continueInput{id, waitType}, nil); err != nil {
		return err
	}
	if a.json {
		return a.out().json(continueInput{id, waitType})
	}
	p := a.note()
	p.line("deployment %s goes on (%s)", id, waitType)
	return p.err
}
