package cli

import (
	"context"
	"encoding/json"
	"math"
	"time"

	"greengate/internal/deploy"
)

// This file follows a deployment by AWS's own APIs.

// awsPoll is between two looks at a deployment; Amazon throttles who looks more often.
const awsPoll = 5 * time.Second

// awsDeployment is what we read of DeploymentInfo.
type awsDeployment struct {
	ApplicationName     string        `json:"applicationName"`
	DeploymentGroupName string        `json:"deploymentGroupName"`
	DeploymentID        string        `json:"deploymentId"`
	Status              deploy.Status `json:"status"`
	Creator             string        `json:"creator"`
	// Revision says where the AppSpec file is, as it is asked for by GetApplicationRevision.
	Revision         json.RawMessage `json:"revision"`
	CreateTime       float64         `json:"createTime"`
	CompleteTime     float64         `json:"completeTime"`
	ErrorInformation struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"errorInformation"`
	RollbackInfo struct {
		RollbackDeploymentID string `json:"rollbackDeploymentId"`
		TriggeringID         string `json:"rollbackTriggeringDeploymentId"`
		Message              string `json:"rollbackMessage"`
	} `json:"rollbackInfo"`
}

// awsTarget is what we read of an ECS target.
type awsTarget struct {
	TargetARN       string `json:"targetArn"`
	LifecycleEvents []struct {
		Name        string  `json:"lifecycleEventName"`
		Status      string  `json:"status"`
		StartTime   float64 `json:"startTime"`
		Diagnostics struct {
			Message string `json:"message"`
		} `json:"diagnostics"`
	} `json:"lifecycleEvents"`
}

// ended reports whether a status is one of the three last ones.
func (d *awsDeployment) ended() bool { return d.Status.Terminal() }

// waitAWS is wait by what AWS says of a deployment: whether traffic had moved, and whether a rollback succeeded, but not
// whether production is well on the old version. So a deployment that failed after traffic had moved is never proven.
func (a *app) waitAWS(ctx context.Context, c *awsClient, id string, f waitFlags) error {
	w := &awsWatcher{watcher: watcher{a: a, c: c.client, patience: f.patience}, aws: c, interval: awsPoll}
	return a.waitBy(ctx, w, id, f)
}

type awsWatcher struct {
	watcher
	aws      *awsClient
	interval time.Duration
	// hooks are told of every look; nil for none.
	hooks *hookLogs
	// said are the lifecycle events that were printed, with their statuses.
	said map[string]string
}

func (w *awsWatcher) follow(ctx context.Context, id string) (deploy.DeploymentView, error) {
	w.said = map[string]string{}
	var view deploy.DeploymentView
	for {
		d, target, err := w.look(ctx, id)
		if err != nil {
			return view, err
		}
		view = w.view(d, target)
		w.tell(d, target)
		if err := w.hooks.look(ctx, d); err != nil {
			return view, err
		}
		if d.ended() {
			return view, nil
		}
		if err := rest(ctx, w.interval); err != nil {
			return view, err
		}
	}
}

// look reads the deployment and its target; a deployment that has not started has none.
func (w *awsWatcher) look(ctx context.Context, id string) (awsDeployment, awsTarget, error) {
	var d struct {
		Info awsDeployment `json:"deploymentInfo"`
	}
	var list struct {
		IDs []string `json:"targetIds"`
	}
	var t struct {
		Target struct {
			ECS awsTarget `json:"ecsTarget"`
		} `json:"deploymentTarget"`
	}
	in := map[string]string{"deploymentId": id}
	err := w.retrying(ctx, func() error {
		if err := w.aws.codedeploy(ctx, "GetDeployment", in, &d); err != nil {
			return err
		}
		err := w.aws.codedeploy(ctx, "ListDeploymentTargets", in, &list)
		if named(err, "DeploymentNotStarted") || err == nil && len(list.IDs) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		return w.aws.codedeploy(ctx, "GetDeploymentTarget", map[string]string{"deploymentId": id, "targetId": list.IDs[0]}, &t)
	})
	return d.Info, t.Target.ECS, err
}

// view draws what AWS says as we draw our own deployments.
func (w *awsWatcher) view(d awsDeployment, t awsTarget) deploy.DeploymentView {
	v := deploy.DeploymentView{
		ID: d.DeploymentID, Service: d.ApplicationName + "/" + d.DeploymentGroupName, Kind: deploy.KindDeploy, Creator: d.Creator, Status: d.Status,
		From: "the old version", To: "the new version", Reason: deploy.Reason(d.ErrorInformation.Code), Message: d.ErrorInformation.Message,
		CreatedAt: seconds(d.CreateTime), CompletedAt: seconds(d.CompleteTime),
		Rollback: deploy.RollbackInfo{DeploymentID: d.RollbackInfo.RollbackDeploymentID, TriggeringID: d.RollbackInfo.TriggeringID, Message: d.RollbackInfo.Message},
	}
	if d.RollbackInfo.TriggeringID != "" {
		v.Kind, v.To = deploy.KindRollback, "the old version"
	}
	for _, e := range t.LifecycleEvents {
		// An event that was skipped never began.
		if e.Name == string(deploy.PhaseAllowTraffic) && e.StartTime > 0 {
			v.Moved = true
		}
	}
	return v
}

// tell prints what is new.
func (w *awsWatcher) tell(d awsDeployment, t awsTarget) {
	for _, e := range t.LifecycleEvents {
		if e.Status == string(deploy.LifecyclePending) || w.said[e.Name] == e.Status {
			continue
		}
		w.said[e.Name] = e.Status
		text := e.Name + "  " + e.Status
		if e.Diagnostics.Message != "" {
			text += ": " + oneLine(e.Diagnostics.Message)
		}
		w.say("%-8s  %s", "event", clean(text))
	}
	if d.Status == deploy.StatusReady && w.said[""] == "" {
		w.said[""] = "ready"
		w.say("waiting   for %s; go on with aws deploy continue-deployment --deployment-id %s", deploy.WaitReady, clean(d.DeploymentID))
	}
}

// seconds is a time of JSON 1.1; zero where there is none.
func seconds(s float64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	whole, fraction := math.Modf(s)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}
