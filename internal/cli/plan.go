package cli

import (
	"context"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) planCommand() *cobra.Command {
	var file string
	cmd := a.command(spec{
		use: "plan", group: groupService, short: "Show what a deployment would change",
		long: `Compares the service file with the service as it runs and shows every difference. DEPLOYS says whether the change needs
a deployment; the others take effect with the next one. Nothing is changed.`,
		example: "  greengate plan\n  greengate plan --json",
		args:    cobra.NoArgs,
		run: func(ctx context.Context, _ []string) error {
			s, err := loadService(file)
			if err != nil {
				return err
			}
			var out deploy.ApplyServiceOutput
			if err := a.call(ctx, "ApplyService", deploy.ApplyServiceInput{Service: s, DryRun: true}, &out); err != nil {
				return err
			}
			return a.printPlan(s.Name, out)
		},
	})
	fileFlag(cmd, &file)
	return cmd
}

// planDocument is the document of plan; its keys are always there.
type planDocument struct {
	Service string          `json:"service"`
	Created bool            `json:"created"`
	Changes []deploy.Change `json:"changes"`
}

func (a *app) printPlan(name string, out deploy.ApplyServiceOutput) error {
	p := a.out()
	if a.json {
		return p.json(planDocument{name, out.Created, append([]deploy.Change{}, out.Changes...)})
	}
	if out.Created {
		p.line("%s is new", name)
	}
	if len(out.Changes) == 0 {
		if !out.Created {
			p.line("%s: no changes", name)
		}
		return p.err
	}
	rows := make([][]string, len(out.Changes))
	for i, c := range out.Changes {
		deploys := "no"
		if c.Deploys {
			deploys = "yes"
		}
		rows[i] = []string{oneLine(c.Field), oneLine(c.From), oneLine(c.To), deploys}
	}
	p.table("FIELD FROM TO DEPLOYS", rows)
	return p.err
}
