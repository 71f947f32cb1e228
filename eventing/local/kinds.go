package local

// The typed subset of each kind that is played. A field that is not here is a
// mistake in the manifest or a setting this package cannot play; either way
// Parse refuses it by name.

type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// document is the frame of every Kubernetes object.
type document[Spec any] struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
	Status     any      `json:"status"`
}

type topicSpec struct {
	TopicName  string         `json:"topicName"`
	Partitions int32          `json:"partitions"`
	Replicas   int16          `json:"replicas"`
	Config     map[string]any `json:"config"`
}

type sinkSpec struct {
	Topic             string   `json:"topic"`
	NumPartitions     int32    `json:"numPartitions"`
	ReplicationFactor int16    `json:"replicationFactor"`
	BootstrapServers  []string `json:"bootstrapServers"`
	ContentMode       string   `json:"contentMode"`
	Auth              any      `json:"auth"`
}

type sourceSpec struct {
	Consumers        int32            `json:"consumers"`
	BootstrapServers []string         `json:"bootstrapServers"`
	Topics           []string         `json:"topics"`
	ConsumerGroup    string           `json:"consumerGroup"`
	InitialOffset    string           `json:"initialOffset"`
	Ordering         string           `json:"ordering"`
	Delivery         *deliverySpec    `json:"delivery"`
	Sink             *destinationSpec `json:"sink"`
	CEOverrides      overridesSpec    `json:"ceOverrides"`
	Net              any              `json:"net"`
}

type brokerSpec struct {
	Config   *referenceSpec `json:"config"`
	Delivery *deliverySpec  `json:"delivery"`
}

type triggerSpec struct {
	Broker     string           `json:"broker"`
	BrokerRef  *referenceSpec   `json:"brokerRef"`
	Filter     *attributesSpec  `json:"filter"`
	Filters    []filterSpec     `json:"filters"`
	Subscriber *destinationSpec `json:"subscriber"`
	Delivery   *deliverySpec    `json:"delivery"`
}

type attributesSpec struct {
	Attributes map[string]string `json:"attributes"`
}

// filterSpec is one filter of the subscriptions API: exactly one field is set.
type filterSpec struct {
	Exact  map[string]string `json:"exact"`
	Prefix map[string]string `json:"prefix"`
	Suffix map[string]string `json:"suffix"`
	All    []filterSpec      `json:"all"`
	Any    []filterSpec      `json:"any"`
	Not    *filterSpec       `json:"not"`
	CESQL  string            `json:"cesql"`
}

type pingSpec struct {
	Schedule    string           `json:"schedule"`
	Timezone    string           `json:"timezone"`
	ContentType string           `json:"contentType"`
	Data        string           `json:"data"`
	DataBase64  string           `json:"dataBase64"`
	Sink        *destinationSpec `json:"sink"`
	CEOverrides overridesSpec    `json:"ceOverrides"`
}

type overridesSpec struct {
	Extensions map[string]string `json:"extensions"`
}

type destinationSpec struct {
	Ref      *referenceSpec `json:"ref"`
	URI      string         `json:"uri"`
	CACerts  string         `json:"CACerts"`
	Audience string         `json:"audience"`
}

type referenceSpec struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace"`
}

type deliverySpec struct {
	DeadLetterSink *destinationSpec `json:"deadLetterSink"`
	Retry          *int32           `json:"retry"`
	Timeout        string           `json:"timeout"`
	BackoffPolicy  string           `json:"backoffPolicy"`
	BackoffDelay   string           `json:"backoffDelay"`
	RetryAfterMax  string           `json:"retryAfterMax"`
	Format         string           `json:"format"`
}
