package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) listCommand() *cobra.Command {
	return a.command(spec{
		use: "list", group: groupLook, short: "List the services",
		long: `Lists every service with the version in production, its addresses and its active or last deployment. TASKS are healthy
and desired ones of the version in production.`,
		example: "  greengate list\n  greengate list --json",
		args:    cobra.NoArgs,
		run:     func(ctx context.Context, _ []string) error { return a.list(ctx) },
	})
}

func (a *app) list(ctx context.Context) error {
	var out deploy.ListServicesOutput
	if err := a.call(ctx, "ListServices", struct{}{}, &out); err != nil {
		return err
	}
	p := a.out()
	if a.json {
		if out.Services == nil {
			out.Services = []deploy.ServiceView{}
		}
		return p.json(out)
	}
	if len(out.Services) == 0 {
		a.note().line("there is no service yet; greengate deploy starts one")
		return nil
	}
	rows := make([][]string, len(out.Services))
	for i, s := range out.Services {
		rows[i] = []string{
			s.Name, s.Version, healthyOf(s), s.Production, s.Test, s.Deployment, lastStatus(s),
		}
	}
	p.table("NAME VERSION TASKS PRODUCTION TEST DEPLOYMENT STATUS", rows)
	return p.err
}

// lastStatus tells of a rollback that it is one: alone, its success would read as that of the version that failed.
func lastStatus(s deploy.ServiceView) string {
	if s.RolledBack != "" {
		return string(s.DeploymentStatus) + ", rollback of " + s.RolledBack
	}
	return string(s.DeploymentStatus)
}

// healthyOf counts the healthy tasks of the task sets that hold production traffic.
func healthyOf(s deploy.ServiceView) string {
	healthy := 0
	for _, t := range s.TaskSets {
		if t.Weight > 0 {
			healthy += t.Healthy
		}
	}
	return strconv.Itoa(healthy) + "/" + strconv.Itoa(s.Tasks)
}
