//go:build linux

package console

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binDir holds what was built for this run: greengate and the service of the stories.
var binDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ggbin")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binDir = dir
	for name, pkg := range map[string]string{"greengate": "greengate/cmd/greengate", "shop": "greengate/test/e2e/stories/shop"} {
		build := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("build %s: %v\n%s", pkg, err, out))
		}
	}
	m.Run()
}
