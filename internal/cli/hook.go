package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"greengate/internal/config"
)

// reportInput is PutLifecycleEventHookExecutionStatusInput of the CodeDeploy model.
type reportInput struct {
	DeploymentID string `json:"deploymentId"`
	ExecutionID  string `json:"lifecycleEventHookExecutionId"`
	Status       string `json:"status"`
}

func (a *app) hookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "hook", GroupID: groupDeploy, Short: "What hooks call",
		Long:    "Commands for use inside of hooks, or on behalf of one.",
		Example: "  greengate hook report --status Succeeded",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.hookReportCommand())
	return cmd
}

func (a *app) hookReportCommand() *cobra.Command {
	var in reportInput
	cmd := a.command(spec{
		use: "report", short: "Report the result of a function hook",
		long: `Reports for a function hook that its checks have passed or failed: PutLifecycleEventHookExecutionStatus for shell
scripts. Inside of a hook the two ids come from $GREENGATE_DEPLOYMENT_ID and $GREENGATE_HOOK_EXECUTION_ID, and the keys
from the AWS variables. The first report counts.`,
		example: `  greengate hook report --status Succeeded
  greengate hook report --deployment d-AB12CD34E --execution ID --status Failed`,
		args: cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			return a.reportHook(ctx, in)
		},
	})
	cmd.Flags().StringVar(&in.DeploymentID, "deployment", "", "id of the deployment (default $GREENGATE_DEPLOYMENT_ID)")
	cmd.Flags().StringVar(&in.ExecutionID, "execution", "", "id of the hook's execution (default $GREENGATE_HOOK_EXECUTION_ID)")
	cmd.Flags().StringVar(&in.Status, "status", "", "Succeeded or Failed")
	return cmd
}

func (a *app) reportHook(ctx context.Context, in reportInput) error {
	own := config.HookFromEnvironment(a.env.Getenv)
	if in.DeploymentID == "" {
		in.DeploymentID = own.DeploymentID
	}
	if in.ExecutionID == "" {
		in.ExecutionID = own.ExecutionID
	}
	switch {
	case in.DeploymentID == "":
		return usagef("name the deployment with --deployment or $GREENGATE_DEPLOYMENT_ID")
	case in.ExecutionID == "":
		return usagef("name the hook's execution with --execution or $GREENGATE_HOOK_EXECUTION_ID")
	case strings.EqualFold(in.Status, "succeeded"):
		in.Status = "Succeeded"
	case strings.EqualFold(in.Status, "failed"):
		in.Status = "Failed"
	default:
		return usagef("--status is Succeeded or Failed, not %q", in.Status)
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.codedeploy(ctx, "PutLifecycleEventHookExecutionStatus", in, nil); err != nil {
		return err
	}
	return a.doneWith(in, "reported %s for deployment %s", in.Status, in.DeploymentID)
}
