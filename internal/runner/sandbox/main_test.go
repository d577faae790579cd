package sandbox

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this binary play the programs that tests need beside themselves.
func TestMain(m *testing.M) {
	roles := map[string]func([]string) error{
		"role-shim":    shimMain,    // a program's parent that outlives the manager
		"role-manager": managerMain, // a manager that is killed
		"role-runtime": runtimeMain, // a function of runtime "provided"
	}
	if len(os.Args) > 1 {
		if role := roles[os.Args[1]]; role != nil {
			if err := role(os.Args[2:]); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1) //nolint:forbidigo // the main function of a test program
			}
			os.Exit(0) //nolint:forbidigo // the main function of a test program
		}
	}
	goleak.VerifyTestMain(m)
}
