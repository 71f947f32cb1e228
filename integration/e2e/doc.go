// Package e2e tries the platform where it runs: in the cluster that KUBECONFIG
// names, with what README's section Deploy put there. Its tests have the build
// tag e2e and run by make e2e; without KUBECONFIG they are skipped, and say so.
//
// They are for a cluster one may disturb: functions are killed, a KafkaSink is
// taken away and put back, and the tests wait until nothing runs. They delete
// what they make.
//
// kubectl must be installed. The rest is found, unless the environment says it:
//
//	KBNT_E2E_GATEWAY  host:port of the gateway for cluster-local services. Found by
//	                  asking whom the Service kbnt-intake stands for, and forwarding a port to it.
//	KBNT_E2E_SINKS    host:port of kafka-sink-ingress. Found likewise.
//	KBNT_E2E_LISTEN   host:port of this machine that pods reach. A Trigger then has the
//	                  completion events delivered there; without it they are seen only in
//	                  the history of the requests, and the tests say so.
//	KBNT_E2E_TOKEN    bearer token of a user who may create, delete and see dead letters;
//	                  unnecessary where KBNT_DEV_USER is set.
package e2e
