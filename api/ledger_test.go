package api

import "testing"

func TestLedger(t *testing.T) {
	type step struct {
		do          string // take, commit, fail
		first, last int64
		round       int
		refused     nackCode
		upTo        int64
	}
	for sentence, steps := range map[string][]step{
		"events are taken in order, from after the cursor": {
			{do: "take", first: 12, last: 12, refused: nackGap},
			{do: "take", first: 11, last: 12},
			{do: "take", first: 13, last: 13},
			{do: "commit", first: 11, last: 12, upTo: 12},
			{do: "commit", first: 13, last: 13, upTo: 13},
		},
		"events may come again, and up_to doesn't go back": {
			{do: "take", first: 3, last: 5},
			{do: "commit", first: 3, last: 5, upTo: 10},
			{do: "take", first: 9, last: 12},
			{do: "commit", first: 9, last: 12, upTo: 12},
		},
		"the credit is for what is unanswered": {
			{do: "take", first: 11, last: 15},
			{do: "take", first: 16, last: 16, refused: nackCredit},
			{do: "commit", first: 11, last: 15, upTo: 15},
			{do: "take", first: 16, last: 20},
		},
		"a failure takes what is behind it along": {
			{do: "take", first: 11, last: 11},
			{do: "take", first: 12, last: 12},
			{do: "commit", first: 11, last: 11, upTo: 11},
			{do: "fail", first: 12, last: 12},
			{do: "take", first: 13, last: 13, refused: nackGap},
			{do: "take", first: 12, last: 13, round: 1},
			{do: "commit", first: 12, last: 13, upTo: 13},
		},
		"what was taken before a failure fails once": {
			{do: "take", first: 11, last: 11},
			{do: "take", first: 12, last: 12},
			{do: "fail", first: 11, last: 11},
			{do: "take", first: 11, last: 11, round: 1},
			{do: "fail", first: 12, last: 12, round: 0},
			{do: "take", first: 12, last: 12, round: 1},
		},
		"numbers don't overflow": {
			{do: "take", first: 1<<63 - 1, last: 1<<63 - 1, refused: nackGap}, {do: "take", first: 1, last: 1<<63 - 1, refused: nackCredit},
		},
	} {
		l := ledger{credit: 5, taken: 10, durable: 10}
		for i, s := range steps {
			var round int
			var refused nackCode
			var upTo int64
			switch s.do {
			case "take":
				round, refused = l.take(s.first, s.last)
			case "commit":
				upTo = l.commit(s.first, s.last)
			case "fail":
				l.fail(s.round, s.first, s.last)
				round = s.round
			}
			if round != s.round || refused != s.refused || upTo != s.upTo {
				t.Errorf("%s: step %d: got round %d, %q, up to %d; want %d, %q, %d", sentence, i, round, refused, upTo, s.round, s.refused, s.upTo)
			}
		}
	}
}
