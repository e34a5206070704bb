package gsm

// layout is a text being laid into messages, up to where it is. A copy of it tries something.
type layout struct {
	limit, max  int           // units of a message, and messages
	parts       int           // begun
	starts      [MaxParts]int // units before each
	units, used int           // units in all, and in the last message
}

// put puts a piece into the last message, or into one more; it isn't split.
func (l *layout) put(units int) bool {
	if l.used+units > l.limit {
		if units > l.limit || l.parts == l.max {
			return false
		}
		l.starts[l.parts] = l.units
		l.parts++
		l.used = 0
	}
	l.used += units
	l.units += units
	return true
}

// putCluster keeps a cluster together if a message can hold it; a longer one is split between its code points, so never
// within an escape or a surrogate pair.
func (l *layout) putCluster(cluster string, units int, count func(string) int) bool {
	if units <= l.limit {
		return l.put(units)
	}
	for _, r := range cluster {
		if !l.put(count(string(r))) {
			return false
		}
	}
	return true
}

// UserData is each part's octets as SMPP's short_message carries them, each beginning with its user data header (TS 23.040
// §9.2.3.24.1, a reference of 8 bits), which esm_class 0x40 announces (SMPP 3.4 §5.2.12); the septets are unpacked after
// it. A text of one part has no header: it is Octets. Texts to one handset that follow each other need different references.
func (s Screen) UserData(reference byte) [][]byte {
	if s.Parts <= 1 {
		return [][]byte{s.Octets}
	}
	width := 1
	if s.Encoding == UCS2 {
		width = 2
	}
	parts := make([][]byte, 0, s.Parts)
	for i, start := range s.starts[:s.Parts] {
		end := s.Units
		if i+1 < s.Parts {
			end = s.starts[i+1]
		}
		header := []byte{5, 0x00, 3, reference, byte(s.Parts), byte(i + 1)} // its length, then one element of three octets
		parts = append(parts, append(header, s.Octets[width*start:width*end]...))
	}
	return parts
}
