//go:build linux

package wire

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	cdtypes "github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestGoSDK tells one blue/green story with the Go SDK, whose decoders are stricter than boto3's: a time that is no number
// fails the whole call. The revision comes from a bucket, and a function decides.
func TestGoSDK(t *testing.T) {
	t.Parallel()
	i := start(t, "--minute", "1s")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"), config.WithBaseEndpoint(i.url), config.WithRetryMaxAttempts(1),
		config.WithSharedCredentialsFiles([]string{filepath.Join(i.data, "credentials")}), config.WithSharedConfigFiles([]string{os.DevNull}))
	if err != nil {
		t.Fatal(err)
	}
	g := &sdkStory{T: t, ctx: ctx, ecs: ecs.NewFromConfig(cfg), elb: elb.NewFromConfig(cfg), cd: codedeploy.NewFromConfig(cfg)}
	i.python(t, "-c", `from site_of import *; hook_role(); role("codedeploy", "codedeploy", ["AWSCodeDeployRoleForECS"])`)
	g.identity(sts.NewFromConfig(cfg))
	g.site()
	g.hook(lambda.NewFromConfig(cfg))
	g.deploy(s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true }))
	g.log(cloudwatchlogs.NewFromConfig(cfg))
}

type sdkStory struct {
	*testing.T
	ctx              context.Context //nolint:containedctx // of one test
	ecs              *ecs.Client
	elb              *elb.Client
	cd               *codedeploy.Client
	address, id      string
	production, test string // ARNs of listeners
}

// must ends the test where a call failed.
func must[Out any](out Out, err error) func(*sdkStory) Out {
	return func(g *sdkStory) Out {
		g.Helper()
		if err != nil {
			g.Fatal(err)
		}
		return out
	}
}

// identity asks who we are.
func (g *sdkStory) identity(c *sts.Client) {
	out, err := c.GetCallerIdentity(g.ctx, &sts.GetCallerIdentityInput{})
	if err != nil || aws.ToString(out.Account) != "000000000000" || aws.ToString(out.Arn) == "" {
		g.Errorf("GetCallerIdentity: %v, %+v", err, out)
	}
}

func (g *sdkStory) site() {
	g.Helper()
	lb := must(g.elb.CreateLoadBalancer(g.ctx, &elb.CreateLoadBalancerInput{Name: aws.String("sdk"), Subnets: []string{"subnet-a", "subnet-b"}}))(g).LoadBalancers[0]
	g.address = aws.ToString(lb.DNSName)
	groups := make([]string, 2)
	for n := range groups {
		groups[n] = aws.ToString(must(g.elb.CreateTargetGroup(g.ctx, &elb.CreateTargetGroupInput{
			Name: aws.String(fmt.Sprintf("sdk-t%d", n+1)), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: aws.String("vpc-1"),
			TargetType: elbtypes.TargetTypeEnumIp, HealthCheckPath: aws.String("/healthz"), HealthCheckIntervalSeconds: aws.Int32(5), HealthyThresholdCount: aws.Int32(2),
		}))(g).TargetGroups[0].TargetGroupArn)
	}
	for port, arn := range map[int32]*string{80: &g.production, 8080: &g.test} {
		*arn = aws.ToString(must(g.elb.CreateListener(g.ctx, &elb.CreateListenerInput{
			LoadBalancerArn: lb.LoadBalancerArn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(port),
			DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: aws.String(groups[0])}},
		}))(g).Listeners[0].ListenerArn)
	}
	must(g.ecs.CreateService(g.ctx, &ecs.CreateServiceInput{
		ServiceName: aws.String("sdk"), TaskDefinition: aws.String(g.definition("v1")), DesiredCount: aws.Int32(1),
		DeploymentController: &ecstypes.DeploymentController{Type: ecstypes.DeploymentControllerTypeCodeDeploy},
		LoadBalancers:        []ecstypes.LoadBalancer{{TargetGroupArn: aws.String(groups[0]), ContainerName: aws.String("app"), ContainerPort: aws.Int32(80)}},
	}))(g)
	err := ecs.NewServicesStableWaiter(g.ecs, func(o *ecs.ServicesStableWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, time.Second }).
		Wait(g.ctx, &ecs.DescribeServicesInput{Services: []string{"sdk"}}, 2*time.Minute)
	if err != nil {
		g.Fatalf("wait for the service: %v", err)
	}
	g.group()
}

// definition registers a version of the service.
func (g *sdkStory) definition(version string) string {
	g.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		g.Fatal(err)
	}
	server := must(filepath.Abs("testdata/server.py"))(g)
	return aws.ToString(must(g.ecs.RegisterTaskDefinition(g.ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("sdk"), ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("app"), Image: aws.String("process:"), EntryPoint: []string{python}, Command: []string{server}, StopTimeout: aws.Int32(2),
			PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}},
			Environment:  []ecstypes.KeyValuePair{{Name: aws.String("VERSION"), Value: aws.String(version)}},
		}},
	}))(g).TaskDefinition.TaskDefinitionArn)
}

func (g *sdkStory) group() {
	g.Helper()
	must(g.cd.CreateApplication(g.ctx, &codedeploy.CreateApplicationInput{ApplicationName: aws.String("sdk"), ComputePlatform: cdtypes.ComputePlatformEcs}))(g)
	must(g.cd.CreateDeploymentGroup(g.ctx, &codedeploy.CreateDeploymentGroupInput{
		ApplicationName: aws.String("sdk"), DeploymentGroupName: aws.String("g"), ServiceRoleArn: aws.String("arn:aws:iam::000000000000:role/codedeploy"),
		DeploymentStyle: &cdtypes.DeploymentStyle{DeploymentType: cdtypes.DeploymentTypeBlueGreen, DeploymentOption: cdtypes.DeploymentOptionWithTrafficControl},
		BlueGreenDeploymentConfiguration: &cdtypes.BlueGreenDeploymentConfiguration{
			DeploymentReadyOption:                     &cdtypes.DeploymentReadyOption{ActionOnTimeout: cdtypes.DeploymentReadyActionContinueDeployment},
			TerminateBlueInstancesOnDeploymentSuccess: &cdtypes.BlueInstanceTerminationOption{Action: cdtypes.InstanceActionTerminate},
		},
		LoadBalancerInfo: &cdtypes.LoadBalancerInfo{TargetGroupPairInfoList: []cdtypes.TargetGroupPairInfo{{
			TargetGroups:     []cdtypes.TargetGroupInfo{{Name: aws.String("sdk-t1")}, {Name: aws.String("sdk-t2")}},
			ProdTrafficRoute: &cdtypes.TrafficRoute{ListenerArns: []string{g.production}},
			TestTrafficRoute: &cdtypes.TrafficRoute{ListenerArns: []string{g.test}},
		}}},
		EcsServices: []cdtypes.ECSService{{ClusterName: aws.String("default"), ServiceName: aws.String("sdk")}},
	}))(g)
}

func (g *sdkStory) hook(c *lambda.Client) {
	g.Helper()
	source := must(os.ReadFile("testdata/hook.py"))(g)
	var code bytes.Buffer
	z := zip.NewWriter(&code)
	file := must(z.Create("hook.py"))(g)
	must(file.Write(source))(g)
	if err := z.Close(); err != nil {
		g.Fatal(err)
	}
	version := strings.Fields(string(must(exec.CommandContext(g.ctx, "python3", "-c", "import sys; print('python%d.%d' % sys.version_info[:2])").Output())(g)))[0]
	must(c.CreateFunction(g.ctx, &lambda.CreateFunctionInput{
		FunctionName: aws.String("sdk-hook"), Runtime: lambdatypes.Runtime(version), Handler: aws.String("hook.handler"), Timeout: aws.Int32(20),
		Role: aws.String("arn:aws:iam::000000000000:role/hook"), Code: &lambdatypes.FunctionCode{ZipFile: code.Bytes()},
		Environment: &lambdatypes.Environment{Variables: map[string]string{"URL": "http://" + g.address + ":8080/", "WANT": "v2"}},
	}))(g)
}

func (g *sdkStory) deploy(c *s3.Client) {
	g.Helper()
	spec := must(json.Marshal(map[string]any{
		"version": 0.0, "Hooks": []map[string]string{{"AfterAllowTestTraffic": "sdk-hook"}},
		"Resources": []any{map[string]any{"TargetService": map[string]any{"Type": "AWS::ECS::Service", "Properties": map[string]any{
			"TaskDefinition": g.definition("v2"), "LoadBalancerInfo": map[string]any{"ContainerName": "app", "ContainerPort": 80},
		}}}},
	}))(g)
	must(c.CreateBucket(g.ctx, &s3.CreateBucketInput{Bucket: aws.String("sdk-revisions")}))(g)
	put := must(c.PutObject(g.ctx, &s3.PutObjectInput{Bucket: aws.String("sdk-revisions"), Key: aws.String("appspec.json"), Body: bytes.NewReader(spec)}))(g)
	g.id = aws.ToString(must(g.cd.CreateDeployment(g.ctx, &codedeploy.CreateDeploymentInput{
		ApplicationName: aws.String("sdk"), DeploymentGroupName: aws.String("g"), Revision: &cdtypes.RevisionLocation{
			RevisionType: cdtypes.RevisionLocationTypeS3, S3Location: &cdtypes.S3Location{
				Bucket: aws.String("sdk-revisions"), Key: aws.String("appspec.json"), BundleType: cdtypes.BundleTypeJson, ETag: put.ETag,
			},
		},
	}))(g).DeploymentId)
	out, err := codedeploy.NewDeploymentSuccessfulWaiter(g.cd, func(o *codedeploy.DeploymentSuccessfulWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Second, time.Second
	}).
		WaitForOutput(g.ctx, &codedeploy.GetDeploymentInput{DeploymentId: &g.id}, 2*time.Minute)
	if err != nil {
		g.Fatalf("wait for %s: %v", g.id, err)
	}
	if d := out.DeploymentInfo; d.CreateTime == nil || d.CompleteTime == nil || d.CompleteTime.Before(*d.CreateTime) || d.DeploymentOverview.Succeeded != 1 {
		g.Errorf("deployment %+v", d)
	}
	if body := g.get(""); body != "v2" {
		g.Errorf("production serves %q", body)
	}
	t := must(g.cd.GetDeploymentTarget(g.ctx, &codedeploy.GetDeploymentTargetInput{DeploymentId: &g.id, TargetId: aws.String("default:sdk")}))(g).DeploymentTarget.EcsTarget
	if len(t.LifecycleEvents) != 8 || t.LastUpdatedAt == nil || t.Status != cdtypes.TargetStatusSucceeded {
		g.Errorf("target %+v", t)
	}
	if s := must(g.ecs.DescribeServices(g.ctx, &ecs.DescribeServicesInput{Services: []string{"sdk"}}))(g).Services[0].TaskSets[0]; aws.ToString(s.ExternalId) != g.id {
		g.Errorf("primary task set %+v", s)
	}
}

func (g *sdkStory) get(port string) string {
	g.Helper()
	r := must(http.NewRequestWithContext(g.ctx, http.MethodGet, "http://"+g.address+port+"/", nil))(g)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		g.Fatal(err)
	}
	defer resp.Body.Close()
	return string(must(io.ReadAll(resp.Body))(g))
}

// log looks for what the hook printed; a log may come after the deployment's end.
func (g *sdkStory) log(c *cloudwatchlogs.Client) {
	g.Helper()
	for {
		out := must(c.FilterLogEvents(g.ctx, &cloudwatchlogs.FilterLogEventsInput{
			LogGroupName: aws.String("/aws/lambda/sdk-hook"), FilterPattern: aws.String(`"want v2"`),
		}))(g)
		if len(out.Events) == 1 && aws.ToString(out.Events[0].Message) == "got v2, want v2: Succeeded" {
			return
		}
		select {
		case <-g.ctx.Done():
			g.Fatalf("the log holds %+v", out.Events)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
