package cli

import (
	"context"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) historyCommand() *cobra.Command {
	var limit int
	cmd := a.command(spec{
		use: "history [SERVICE]", group: groupLook, short: "List the deployments",
		long:     `Lists deployments and rollbacks, newest first: of one service, or of all.`,
		example:  "  greengate history\n  greengate history checkout --limit 5 --json",
		args:     atMost(1),
		complete: a.completeServices,
		run: func(ctx context.Context, args []string) error {
			if limit < 1 {
				return usagef("--limit is %d; it must be at least 1", limit)
			}
			in := deploy.ListDeploymentsInput{Limit: limit}
			if len(args) > 0 {
				in.Service = args[0]
			}
			return a.history(ctx, in)
		},
	})
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "at most this many")
	return cmd
}

func (a *app) history(ctx context.Context, in deploy.ListDeploymentsInput) error {
	var out deploy.ListDeploymentsOutput
	if err := a.call(ctx, "ListDeployments", in, &out); err != nil {
		return err
	}
	p := a.out()
	if a.json {
		if out.Deployments == nil {
			out.Deployments = []deploy.DeploymentView{}
		}
		return p.json(out)
	}
	if len(out.Deployments) == 0 && in.Service != "" {
		a.note().line("there is no deployment of %q; greengate history lists those of every service", in.Service)
		return nil
	}
	if len(out.Deployments) == 0 {
		a.note().line("there is no deployment yet")
		return nil
	}
	now := a.env.Now()
	rows := make([][]string, len(out.Deployments))
	for i, d := range out.Deployments {
		lasted := ""
		if !d.CompletedAt.IsZero() {
			lasted = took(d.CompletedAt.Sub(d.CreatedAt))
		}
		rows[i] = []string{
			d.ID, d.Service, string(d.Kind), d.From, d.To, string(d.Status), string(d.Reason), ago(now, d.CreatedAt), lasted,
		}
	}
	p.table("DEPLOYMENT SERVICE KIND FROM TO STATUS REASON CREATED TOOK", rows)
	return p.err
}
