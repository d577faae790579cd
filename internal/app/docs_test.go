package app

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"greengate/internal/awsapi/shapes"
	"greengate/internal/awsapi/shapes/autoscaling"
	"greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/awsapi/shapes/iam"
	"greengate/internal/awsapi/shapes/lambda"
	logshapes "greengate/internal/awsapi/shapes/logs"
	"greengate/internal/awsapi/shapes/s3"
	"greengate/internal/awsapi/shapes/sns"
	"greengate/internal/awsapi/shapes/sts"
)

var update = flag.Bool("update", false, "write docs/aws.md anew")

// TestDocs_aws: docs/aws.md lists what is served, and prints the walk-through that a test of the wire runs.
func TestDocs_aws(t *testing.T) {
	t.Parallel()
	const path = "../../docs/aws.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	walk, err := os.ReadFile("../../test/wire/testdata/walk.sh")
	if err != nil {
		t.Fatal(err)
	}
	want := replaceBetween(string(text), "A test runs these commands as they stand here.\n\n```sh\n", "```\n\n## Which", string(walk))
	want = replaceBetween(want, "and changes nothing.\n\n", "\nNot served whole:", operationsTable(t))
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("docs/aws.md does not say what is served: run this test with -update and read the difference")
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func replaceBetween(text, from, to, middle string) string {
	before, rest, ok := strings.Cut(text, from)
	_, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		return text + "\nthe document has lost its marks\n"
	}
	return before + from + middle + to + after
}

func operationsTable(t *testing.T) string {
	t.Helper()
	served := (&Controller{}).services()
	var b strings.Builder
	b.WriteString("| service | served | not served |\n|---|---|---|\n")
	for _, m := range []shapes.Service{
		codedeploy.Model(), ecs.Model(), elbv2.Model(), lambda.Model(), logshapes.Model(), iam.Model(), sts.Model(), s3.Model(), sns.Model(),
		cloudwatch.Model(), autoscaling.Model(),
	} {
		var yes, no []string
		for _, op := range m.Operations {
			// The CodeDeploy operations are the server's own: its test holds them to the model.
			if _, ok := served[m.Prefix][op.Name]; ok || m.Prefix == "codedeploy" {
				yes = append(yes, op.Name)
			} else {
				no = append(no, op.Name)
			}
		}
		slices.Sort(yes)
		slices.Sort(no)
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.ID, orNone(yes), orNone(no))
	}
	return b.String()
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "–"
	}
	return strings.Join(names, ", ")
}
