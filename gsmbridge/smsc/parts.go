package smsc

import (
	"sync"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// What is kept of texts whose parts have not all come: the oldest makes way.
const (
	maxPartSets = 1000
	partsKept   = 5 * time.Minute
)

// partKey tells concatenated texts apart (TS 23.040 §9.2.3.24.1).
type partKey struct {
	to               callsign.MSISDN
	from             string
	reference, total int
}

type partSet struct {
	data  map[int][]byte
	until time.Time
}

// parts joins the parts of texts.
type parts struct {
	mu    sync.Mutex
	sets  map[partKey]*partSet
	order []partKey
}

// join gives the user data of a message, and of one part that of all, once it is whole.
func (p *parts) join(to callsign.MSISDN, m *smpp.Message, now time.Time) (data []byte, whole bool) {
	reference, total, n, ok := partOf(m)
	if !ok {
		return m.UserData(), true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.order) > 0 {
		if set := p.sets[p.order[0]]; set != nil && len(p.order) < maxPartSets && now.Before(set.until) {
			break
		}
		delete(p.sets, p.order[0])
		p.order = p.order[1:]
	}
	k := partKey{to, m.Source.Number, reference, total}
	set := p.sets[k]
	if set == nil {
		set = &partSet{map[int][]byte{}, now.Add(partsKept)}
		p.sets[k], p.order = set, append(p.order, k)
	}
	if set.data[n] = m.UserData(); len(set.data) < total {
		return nil, false
	}
	for i := range total {
		data = append(data, set.data[i+1]...)
	}
	delete(p.sets, k)
	return data, true
}

// partOf reads the element that says which part of a concatenated text a message is: with a reference of 8 or 16 bits (TS
// 23.040 §9.2.3.24.1, §9.2.3.24.8).
func partOf(m *smpp.Message) (reference, total, n int, ok bool) {
	if m.ESMClass&0x40 == 0 || len(m.ShortMessage) == 0 {
		return 0, 0, 0, false
	}
	header := m.ShortMessage[1:min(len(m.ShortMessage), 1+int(m.ShortMessage[0]))]
	for len(header) >= 2 && len(header) >= 2+int(header[1]) {
		switch e := header[2 : 2+int(header[1])]; {
		case header[0] == 0x00 && len(e) == 3:
			reference, total, n = int(e[0]), int(e[1]), int(e[2])
		case header[0] == 0x08 && len(e) == 4:
			reference, total, n = int(e[0])<<8|int(e[1]), int(e[2]), int(e[3])
		}
		header = header[2+int(header[1]):]
	}
	return reference, total, n, n >= 1 && n <= total
}
