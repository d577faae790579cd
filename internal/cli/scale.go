package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"greengate/internal/deploy"
)

func (a *app) scaleCommand() *cobra.Command {
	const most = 1000
	return a.command(spec{
		use: "scale SERVICE TASKS", group: groupDeploy, short: "Change the number of tasks",
		long: `Changes how many tasks of the running version there are, without a deployment. The next deployment takes the number
from the service file again.`,
		example:  "  greengate scale checkout 4",
		args:     exactly(2, "the name of a service and a number of tasks"),
		complete: a.completeServices,
		run: func(ctx context.Context, args []string) error {
			tasks, err := strconv.Atoi(args[1])
			if err != nil || tasks < 1 || tasks > most {
				return usagef("%q is not a number of tasks; it must be between 1 and %d", args[1], most)
			}
			in := deploy.ScaleServiceInput{Name: args[0], Tasks: tasks}
			if err := a.call(ctx, "ScaleService", in, nil); err != nil {
				return err
			}
			return a.doneWith(in, "%s is told to have %s", args[0], plural(tasks, "task"))
		},
	})
}
