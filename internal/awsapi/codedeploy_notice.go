package awsapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// Notice is what a trigger of a deployment group tells its topic.
type Notice struct {
	Region, AccountID string
	// Trigger is the name of the trigger.
	Trigger string
	// Status is that of the event which is told, in upper case: CREATED, READY, SUCCEEDED. The deployment may be further.
	Status     string
	Deployment deploy.Deployment
}

// noticeMessage has its members in the order in which AWS sends them; what is a document in it is a string of JSON.
type noticeMessage struct {
	Region              string  `json:"region"`
	AccountID           string  `json:"accountId"`
	EventTriggerName    string  `json:"eventTriggerName"`
	ApplicationName     string  `json:"applicationName"`
	DeploymentID        string  `json:"deploymentId"`
	DeploymentGroupName string  `json:"deploymentGroupName"`
	CreateTime          string  `json:"createTime"`
	CompleteTime        *string `json:"completeTime"`
	DeploymentOverview  string  `json:"deploymentOverview,omitempty"`
	Status              string  `json:"status"`
	ErrorInformation    string  `json:"errorInformation,omitempty"`
	RollbackInformation string  `json:"rollbackInformation"`
}

type noticeOverview struct {
	Succeeded, Failed, Skipped, InProgress, Pending int64
}

type noticeError struct {
	ErrorCode, ErrorMessage string
}

type noticeRollback struct {
	RollbackMessage                string `json:",omitempty"`
	RollbackTriggeringDeploymentID string `json:"RollbackTriggeringDeploymentId,omitempty"`
}

// noticeTime is how times are written in notices: "Thu Oct 13 15:50:45 UTC 2022".
func noticeTime(t time.Time) string { return t.UTC().Format("Mon Jan 02 15:04:05 UTC 2006") }

// Text is the subject and the message, in the form in which CodeDeploy was seen to send them (the user guide's sample
// differs). A subject has at most 100 characters.
func (n Notice) Text() (subject, message string, err error) {
	d := &n.Deployment
	m := noticeMessage{
		Region: n.Region, AccountID: n.AccountID, EventTriggerName: n.Trigger, ApplicationName: d.Plan.Application, DeploymentID: d.ID,
		DeploymentGroupName: d.Plan.Group, CreateTime: noticeTime(d.CreatedAt), Status: n.Status,
	}
	if m.RollbackInformation, err = jsonText(noticeRollback{d.Rollback.Message, d.Rollback.TriggeringID}); err != nil {
		return "", "", err
	}
	if strings.EqualFold(n.Status, string(d.Status)) && d.Status.Terminal() {
		if err := n.ended(&m); err != nil {
			return "", "", err
		}
	}
	message, err = jsonText(m)
	subject = fmt.Sprintf("%s: AWS CodeDeploy %s in %s to %s", n.Status, d.ID, n.Region, d.Plan.Application)
	return subject[:min(len(subject), 100)], message, err
}

// ended fills in what is there once the deployment has ended.
func (n Notice) ended(m *noticeMessage) (err error) {
	d := &Deployment{Deployment: n.Deployment}
	m.CompleteTime = new(noticeTime(d.CompletedAt))
	o := overview(d)
	m.DeploymentOverview, err = jsonText(noticeOverview{*o.Succeeded, *o.Failed, *o.Skipped, *o.InProgress, *o.Pending})
	if e := errorInformation(&d.Deployment); e != nil && err == nil {
		m.ErrorInformation, err = jsonText(noticeError{string(e.Code), e.Message})
	}
	return err
}

func jsonText(v any) (string, error) {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "", fmt.Errorf("encode notice: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
