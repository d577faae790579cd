package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

// completion proposes arguments.
type completion = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// completionLimit bounds how long a press of the tab key may take.
const completionLimit = time.Second

const noFiles = cobra.ShellCompDirectiveNoFileComp

func (a *app) completeServices(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	return a.serviceNames(cmd.Context()), noFiles
}

func (a *app) completeDeployments(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	return a.deploymentIDs(cmd.Context()), noFiles
}

func (a *app) completeBoth(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	return append(a.serviceNames(cmd.Context()), a.deploymentIDs(cmd.Context())...), noFiles
}

// serviceNames proposes nothing where there is no controller: an error would only disturb the line that is typed.
func (a *app) serviceNames(ctx context.Context) []cobra.Completion {
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	var out deploy.ListServicesOutput
	if err := a.call(ctx, "ListServices", struct{}{}, &out); err != nil {
		return nil
	}
	names := make([]cobra.Completion, len(out.Services))
	for i, s := range out.Services {
		names[i] = cobra.CompletionWithDesc(s.Name, oneLine(s.Version))
	}
	return names
}

func (a *app) deploymentIDs(ctx context.Context) []cobra.Completion {
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	var out deploy.ListDeploymentsOutput
	if err := a.call(ctx, "ListDeployments", deploy.ListDeploymentsInput{Limit: 20}, &out); err != nil {
		return nil
	}
	ids := make([]cobra.Completion, len(out.Deployments))
	for i, d := range out.Deployments {
		ids[i] = cobra.CompletionWithDesc(d.ID, oneLine(d.Service+" "+string(d.Status)))
	}
	return ids
}
