package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// exitCodesTopic is a help topic: a command that cannot run.
func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("Every command ends with one of these exit codes:\n\n")
	for _, c := range exitCodes() {
		fmt.Fprintf(&b, "  %d  %s\n", c.code, c.meaning)
	}
	b.WriteString("\ngreengate deploy without --wait gives 0 when the deployment was accepted.")
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: b.String()}
}
