package local

// resolve checks what one document says of another, after all were read.
func (p *parser) resolve() {
	p.unique()
	topics := make(map[string]bool)
	for _, t := range p.m.topics {
		topics[t.topic] = true
	}
	known := func(o object, field, topic string) {
		if topic != "" && !topics[topic] {
			p.problem(o, field, "topic %q has no KafkaTopic", topic)
		}
	}
	for _, s := range p.m.sinks {
		known(s.object, "spec.topic", s.topic)
	}
	for _, s := range p.m.sources {
		for _, topic := range s.topics {
			known(s.object, "spec.topics", topic)
		}
	}
	for _, b := range p.m.brokers {
		known(b.object, "metadata.annotations", b.topic)
	}
	for _, t := range p.m.triggers {
		if _, ok := p.m.broker(t.namespace, t.broker); !ok && t.broker != "" {
			p.problem(t.object, "spec.broker", "there is no Broker %s/%s", t.namespace, t.broker)
		}
	}
	for _, d := range append(p.m.destinations(), p.m.subscribers()...) {
		p.reachable(d)
	}
}

func (p *parser) reachable(d destination) {
	switch d.kind {
	case toSink:
		for _, s := range p.m.sinks {
			if s.namespace == d.namespace && s.name == d.name {
				return
			}
		}
		p.problem(d.object, d.field, "there is no KafkaSink %s/%s", d.namespace, d.name)
	case toBroker:
		if _, ok := p.m.broker(d.namespace, d.name); !ok {
			p.problem(d.object, d.field, "there is no Broker %s/%s", d.namespace, d.name)
		}
	}
}

// unique refuses what one machine cannot tell apart: kubectl keeps the last of
// two objects of one name, and sinks and brokers share one listener here.
func (p *parser) unique() {
	seen := make(map[string]object)
	check := func(o object, space, name string) {
		key := space + " " + name
		if first, twice := seen[key]; twice {
			p.problem(o, "metadata.name", "%s %s is taken by %s in %s", space, name, first, first.file)
			return
		}
		seen[key] = o
	}
	for _, t := range p.m.topics {
		check(t.object, "topic", t.topic)
	}
	for _, s := range p.m.sinks {
		check(s.object, "address", s.namespace+"/"+s.name)
	}
	for _, b := range p.m.brokers {
		check(b.object, "address", b.namespace+"/"+b.name)
	}
	for _, s := range p.m.sources {
		check(s.object, "KafkaSource", s.namespace+"/"+s.name)
	}
	for _, t := range p.m.triggers {
		check(t.object, "Trigger", t.namespace+"/"+t.name)
	}
	for _, s := range p.m.pings {
		check(s.object, "PingSource", s.namespace+"/"+s.name)
	}
}

func (m *Manifests) broker(namespace, name string) (broker, bool) {
	for _, b := range m.brokers {
		if b.namespace == namespace && b.name == name {
			return b, true
		}
	}
	return broker{}, false
}

// destinations are those that must be there when sources start.
func (m *Manifests) destinations() []destination {
	var all []destination
	for _, s := range m.sources {
		all = append(all, s.sink, s.delivery.deadLetters)
	}
	for _, s := range m.pings {
		all = append(all, s.sink)
	}
	for _, b := range m.brokers {
		all = append(all, b.delivery.deadLetters)
	}
	return all
}

// subscribers may be missing on one machine, with their own dead letter sinks.
func (m *Manifests) subscribers() []destination {
	var all []destination
	for _, t := range m.triggers {
		all = append(all, t.subscriber)
		if t.delivery != nil {
			all = append(all, t.delivery.deadLetters)
		}
	}
	return all
}
