package cloud

// The kinds of resources that the wire manages.
const (
	KindCluster          Kind = "cluster"
	KindTaskDefinition   Kind = "task-definition"
	KindECSService       Kind = "ecs-service"
	KindTask             Kind = "task"
	KindLoadBalancer     Kind = "load-balancer"
	KindTargetGroup      Kind = "target-group"
	KindELBListener      Kind = "elb-listener"
	KindApplication      Kind = "application"
	KindDeploymentGroup  Kind = "deployment-group"
	KindDeploymentConfig Kind = "deployment-config"
	KindRevision         Kind = "revision"
	KindFunction         Kind = "function"
	KindRole             Kind = "role"
	KindPolicy           Kind = "policy"
	KindUser             Kind = "user"
	KindLogGroup         Kind = "log-group"
	KindAlarm            Kind = "alarm"
	KindTopic            Kind = "topic"
	KindBucket           Kind = "bucket"
	KindScalableTarget   Kind = "scalable-target"
)

// decoders are those of every kind.
func decoders() []decoder {
	return []decoder{
		decodes[Cluster](), decodes[TaskDefinition](), decodes[ECSService](), decodes[Task](),
		decodes[LoadBalancer](), decodes[TargetGroup](), decodes[ELBListener](),
		decodes[Application](), decodes[DeploymentGroup](), decodes[DeploymentConfig](), decodes[Revision](),
		decodes[Function](), decodes[IAMRole](), decodes[IAMPolicy](), decodes[IAMUser](),
		decodes[LogGroup](), decodes[Alarm](), decodes[Topic](), decodes[Bucket](),
		decodes[ScalableTarget](),
	}
}

// traffic reports whether the data plane's table is made of resources of a kind.
func traffic(k Kind) bool {
	return k == KindLoadBalancer || k == KindTargetGroup || k == KindELBListener || k == KindECSService
}
