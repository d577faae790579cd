//go:build linux

package wire

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"greengate/internal/cli"
)

const examplePipeline = "../../examples/pipeline"

// TestPipeline runs the shell pipeline of the examples as it stands there: a good version, a bad one, and what check says of
// things that were broken, whose commands mend them.
func TestPipeline(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"aws", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on PATH: %v", program, err)
		}
	}
	i := start(t, "--minute", "1s")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(examplePipeline)); err != nil {
		t.Fatal(err)
	}
	for _, script := range []string{"build.sh", "setup.sh", "pipeline.sh"} {
		if err := os.Chmod(filepath.Join(dir, script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := &pipeline{T: t, i: i, dir: dir, env: []string{"GREENGATE_DATA=" + i.data}}
	lines := strings.Fields(p.sh("./setup.sh 1"))
	keys := strings.Fields(p.sh("aws iam create-access-key --user-name shop-pipeline --query AccessKey.[AccessKeyId,SecretAccessKey] --output text"))
	root := p.env
	// The pipeline runs with its own user's keys, elsewhere than the data folder.
	p.env = []string{"SHOP_URL=" + lines[len(lines)-1], "AWS_ACCESS_KEY_ID=" + keys[0], "AWS_SECRET_ACCESS_KEY=" + keys[1]}
	p.sh("greengate verify production.yaml --base-url $SHOP_URL --release version=1")
	if out := p.sh("./pipeline.sh 2"); !strings.Contains(out, "production serves the new version") || !strings.Contains(out, "shop:2: Succeeded") {
		t.Errorf("the pipeline said\n%s", out)
	}
	p.sh("sed -i 's/PRICE = 250/PRICE = 0/' app/shop.py")
	out := p.sh("./pipeline.sh 3; echo code $?")
	if !strings.Contains(out, "code 4\n") || !strings.Contains(out, "production is proven on the version before it") {
		t.Errorf("the pipeline of a bad version said\n%s", out)
	}
	p.sh("greengate verify production.yaml --base-url $SHOP_URL --release version=2")
	if out := p.sh("greengate verify production.yaml --base-url $SHOP_URL --release version=3 --summary page.md; echo code $?; cat page.md"); !strings.Contains(out, "code 4\n## Scenarios: fail\n") {
		t.Errorf("verify of a version that is not there said\n%s", out)
	}
	p.env = root
	p.page = signIn(t, p.sh("greengate console"))
	p.breakAndMend("role", "aws iam delete-role-policy --role-name shop-check --policy-name report",
		`does not allow codedeploy:PutLifecycleEventHookExecutionStatus on arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:shop/live`)
	p.breakAndMend("trust", `aws iam update-assume-role-policy --role-name shop-deploy --policy-document \
		'{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["ecs.amazonaws.com"]}, "Action": "sts:AssumeRole"}]}'`,
		"does not trust codedeploy.amazonaws.com")
	p.breakAndMend("listener", `aws elbv2 modify-listener --default-actions Type=forward,TargetGroupArn=$(`+
		`aws elbv2 describe-target-groups --names shop-blue --query 'TargetGroups[0].TargetGroupArn' --output text) --listener-arn $(`+
		`aws deploy get-deployment-group --application-name shop --deployment-group-name live --output text \
		--query 'deploymentGroupInfo.loadBalancerInfo.targetGroupPairInfoList[0].prodTrafficRoute.listenerArns[0]')`, "does not forward to")
}

type pipeline struct {
	*testing.T
	i   *installation
	dir string
	env []string
	// page is the Check page of the console, which says the same as the command.
	page *checkPage
}

// sh runs a line of shell where the pipeline runs.
func (p *pipeline) sh(line string) string {
	p.Helper()
	args := slices.Concat(p.env, []string{"sh", "-c", `PATH="` + filepath.Dir(binary) + `:$PATH"` + "\n" + line + "\n"})
	return p.i.run(p.T, p.dir, "env", args...)
}

const checkAgain = "greengate check --appspec appspec.yaml --taskdef taskdef.json --image IMAGE1_NAME=process:/ --json; echo code $?"

// breakAndMend breaks something, looks whether check finds exactly that, runs the command that it names, and looks again.
func (p *pipeline) breakAndMend(what, line, finding string) {
	p.Helper()
	p.sh(line)
	document, code := p.check()
	found := slices.DeleteFunc(document.Findings, func(f checkFinding) bool { return f.Level == "note" })
	if len(found) != 1 || found[0].Level != "error" || !strings.Contains(found[0].Message, finding) || found[0].Where == "" || code != "3" {
		p.Fatalf("%s: exit code %s, findings %+v", what, code, document.Findings)
	}
	if !strings.HasPrefix(found[0].Mend, "aws ") {
		p.Fatalf("%s: %q is no command", what, found[0].Mend)
	}
	p.sh(found[0].Mend)
	if document, code = p.check(); code != "0" {
		p.Errorf("%s: after %s: exit code %s, findings %+v", what, found[0].Mend, code, document.Findings)
	}
}

type checkFinding struct{ Level, Where, Message, Mend string }

func (p *pipeline) check() (document struct {
	Service    string
	Controller string
	Findings   []checkFinding
}, code string,
) {
	p.Helper()
	out, code, ok := strings.Cut(p.sh(checkAgain), "\ncode ")
	if err := json.Unmarshal([]byte(out), &document); err != nil || !ok {
		p.Fatalf("check printed %s: %v", out, err)
	}
	if document.Service != "shop/live" || document.Controller != "asked" {
		p.Errorf("check looked at %q, %q", document.Service, document.Controller)
	}
	p.page.sees(p.T, document.Findings)
	return document, strings.TrimSpace(code)
}

// TestPipeline_files: the pipelines of CI systems are YAML, and each command of ours in them is one that we have.
func TestPipeline_files(t *testing.T) {
	t.Parallel()
	for file, least := range map[string]int{"github-actions.yml": 2, "gitlab-ci.yml": 2, "pipeline.sh": 2} {
		text, err := os.ReadFile(filepath.Join(examplePipeline, file))
		if err != nil {
			t.Fatal(err)
		}
		scripts := []string{strings.ReplaceAll(string(text), "\\\n", " ")}
		if strings.HasSuffix(file, ".yml") {
			var document any
			if err := yaml.Unmarshal(text, &document); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			scripts = texts(document)
		}
		commands := 0
		for _, script := range scripts {
			for line := range strings.Lines(script) {
				if words := commandLine(line); words != nil {
					commands++
					checkCommand(t, file, words)
				}
			}
			for _, used := range regexp.MustCompile(`\./([a-z]+\.sh)`).FindAllStringSubmatch(script, -1) {
				if info, err := os.Stat(filepath.Join(examplePipeline, used[1])); err != nil || info.Mode()&0o111 == 0 {
					t.Errorf("%s runs %s, which is no program: %v", file, used[1], err)
				}
			}
		}
		if commands < least {
			t.Errorf("%s: %d commands of ours, want %d", file, commands, least)
		}
	}
}

// texts are all texts in a document.
func texts(v any) (all []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, item := range v {
			all = append(all, texts(item)...)
		}
	case map[string]any:
		for _, value := range v {
			all = append(all, texts(value)...)
		}
	case map[any]any:
		for _, value := range v {
			all = append(all, texts(value)...)
		}
	}
	return all
}

var shellWord = regexp.MustCompile(`(?:[^\s"']|"[^"]*"|'[^']*')+`)

// commandLine are the words of a line that runs greengate; nil of any other. Quotes go, variables stay.
func commandLine(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "greengate ") {
		return nil
	}
	line, _, _ = strings.Cut(line, " || ")
	var words []string
	for _, w := range shellWord.FindAllString(line, -1) {
		words = append(words, strings.NewReplacer(`"`, "", `'`, "").Replace(w))
	}
	return words[1:]
}

func checkCommand(t *testing.T, file string, words []string) {
	t.Helper()
	root := cli.New(cli.Env{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }}, cli.Roles{})
	cmd, args, err := root.Find(words)
	if err != nil || cmd == root {
		t.Errorf("%s: greengate %s: no such command: %v", file, strings.Join(words, " "), err)
		return
	}
	if err := cmd.ParseFlags(args); err != nil {
		t.Errorf("%s: greengate %s: %v", file, strings.Join(words, " "), err)
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		t.Errorf("%s: greengate %s: %v", file, strings.Join(words, " "), err)
	}
	named := cmd.Flags().Args() // of verify, scenarios
	for _, flag := range []string{"appspec", "taskdef"} {
		if f := cmd.Flag(flag); f != nil {
			named = append(named, f.Value.String())
		}
	}
	for _, path := range named {
		if _, err := os.Stat(filepath.Join(examplePipeline, path)); err != nil {
			t.Errorf("%s: greengate %s: %v", file, strings.Join(words, " "), err)
		}
	}
}
