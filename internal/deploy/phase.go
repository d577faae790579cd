package deploy

// Phase is where a deployment stands. The names of lifecycle events are the wire's own
// (CodeDeploy user guide, "AppSpec hooks section for an Amazon ECS deployment").
type Phase string

// The phases of a deployment in the order in which they are passed.
const (
	PhaseCreated               Phase = "Created"
	PhaseBeforeInstall         Phase = "BeforeInstall"
	PhaseInstall               Phase = "Install"
	PhaseAfterInstall          Phase = "AfterInstall"
	PhaseAllowTestTraffic      Phase = "AllowTestTraffic"
	PhaseAfterAllowTestTraffic Phase = "AfterAllowTestTraffic"
	PhaseReadyWait             Phase = "ReadyWait"
	PhaseBeforeAllowTraffic    Phase = "BeforeAllowTraffic"
	PhaseWayBack               Phase = "WayBack"
	PhaseAllowTraffic          Phase = "AllowTraffic"
	PhaseAfterAllowTraffic     Phase = "AfterAllowTraffic"
	PhaseTerminationWait       Phase = "TerminationWait"
	PhaseRetire                Phase = "Retire"
)

// The phases after a failure or a stop, and the terminal ones.
const (
	// PhaseInspect asks whether blue is healthy before traffic is given back to it.
	PhaseInspect Phase = "Inspect"
	// PhaseRollback puts the listeners back to blue.
	PhaseRollback Phase = "Rollback"
	// PhaseDiscard takes a green away that has no blue to go back to.
	PhaseDiscard Phase = "Discard"
	// PhaseSettle waits until every cancelled effect has confirmed its end.
	PhaseSettle    Phase = "Settle"
	PhaseSucceeded Phase = "Succeeded"
	PhaseFailed    Phase = "Failed"
	PhaseStopped   Phase = "Stopped"
)

// Phases lists every phase once, in the order of the constants.
func Phases() []Phase {
	return []Phase{
		PhaseCreated, PhaseBeforeInstall, PhaseInstall, PhaseAfterInstall, PhaseAllowTestTraffic,
		PhaseAfterAllowTestTraffic, PhaseReadyWait, PhaseBeforeAllowTraffic, PhaseWayBack, PhaseAllowTraffic,
		PhaseAfterAllowTraffic, PhaseTerminationWait, PhaseRetire, PhaseInspect, PhaseRollback, PhaseDiscard,
		PhaseSettle, PhaseSucceeded, PhaseFailed, PhaseStopped,
	}
}

// Terminal reports whether nothing can happen any more.
func (p Phase) Terminal() bool {
	return p == PhaseSucceeded || p == PhaseFailed || p == PhaseStopped
}

// Side names one of the two task sets of a deployment.
type Side string

// The sides of a deployment. SideNone is no task set at all.
const (
	SideNone  Side = ""
	SideBlue  Side = "Blue"
	SideGreen Side = "Green"
)

// Safe names the task set that must hold production traffic if everything stopped in this phase.
// Until the new version has passed all that is asked of it after the switch, that is blue.
func (p Phase) Safe() Side {
	switch p {
	case PhaseRetire, PhaseSucceeded:
		return SideGreen
	case PhaseCreated, PhaseBeforeInstall, PhaseInstall, PhaseAfterInstall, PhaseAllowTestTraffic,
		PhaseAfterAllowTestTraffic, PhaseReadyWait, PhaseBeforeAllowTraffic, PhaseWayBack, PhaseAllowTraffic,
		PhaseAfterAllowTraffic, PhaseTerminationWait, PhaseInspect, PhaseRollback, PhaseDiscard, PhaseSettle,
		PhaseFailed, PhaseStopped:
		return SideBlue
	}
	return SideBlue
}

// Status is a deployment's status as the wire names it (DeploymentStatus of the CodeDeploy model).
type Status string

// The statuses that an ECS deployment takes.
const (
	StatusCreated    Status = "Created"
	StatusInProgress Status = "InProgress"
	StatusReady      Status = "Ready"
	StatusSucceeded  Status = "Succeeded"
	StatusFailed     Status = "Failed"
	StatusStopped    Status = "Stopped"
)

// Terminal reports whether the status never changes again.
func (s Status) Terminal() bool {
	return s == StatusSucceeded || s == StatusFailed || s == StatusStopped
}

// LifecycleStatus is the status of one lifecycle event.
type LifecycleStatus string

// The statuses of a lifecycle event (LifecycleEventStatus of the CodeDeploy model).
const (
	LifecyclePending    LifecycleStatus = "Pending"
	LifecycleInProgress LifecycleStatus = "InProgress"
	LifecycleSucceeded  LifecycleStatus = "Succeeded"
	LifecycleFailed     LifecycleStatus = "Failed"
	LifecycleSkipped    LifecycleStatus = "Skipped"
)

// LifecycleEvents lists the lifecycle events of a deployment in order: eight, or six where the
// service has no test listener (spec: codedeploy-ecs 3.1 and 3.2).
func LifecycleEvents(testListener bool) []Phase {
	if !testListener {
		return []Phase{
			PhaseBeforeInstall, PhaseInstall, PhaseAfterInstall,
			PhaseBeforeAllowTraffic, PhaseAllowTraffic, PhaseAfterAllowTraffic,
		}
	}
	return []Phase{
		PhaseBeforeInstall, PhaseInstall, PhaseAfterInstall, PhaseAllowTestTraffic,
		PhaseAfterAllowTestTraffic, PhaseBeforeAllowTraffic, PhaseAllowTraffic, PhaseAfterAllowTraffic,
	}
}

// Hookable reports whether a hook may be registered for the lifecycle event p.
func (p Phase) Hookable() bool {
	switch p { //nolint:exhaustive // a predicate over five names; every other phase has no hook
	case PhaseBeforeInstall, PhaseAfterInstall, PhaseAfterAllowTestTraffic, PhaseBeforeAllowTraffic, PhaseAfterAllowTraffic:
		return true
	}
	return false
}
