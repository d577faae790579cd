package cli

import (
	"context"
	"runtime"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return a.command(spec{
		use: "version", group: groupRun, short: "Print the version",
		long:    "Prints the version of this program, the Go version that built it and the system it was built for.",
		example: "  greengate version\n  greengate version --json",
		args:    cobra.NoArgs,
		run: func(context.Context, []string) error {
			version := orDash(a.env.Version)
			p := a.out()
			if a.json {
				return p.json(map[string]string{"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH})
			}
			p.line("greengate %s (%s %s/%s)", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return p.err
		},
	})
}
