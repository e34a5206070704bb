package sqlite

import (
	"strings"
	"testing"
)

// TestAccountsAreReadByTheirNumber: the planner would like to read all of a tenant's for each subscriber.
func TestAccountsAreReadByTheirNumber(t *testing.T) {
	e := New(Options{Path: t.TempDir() + "/x.db"})
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for name, c := range map[string]struct {
		query string
		args  []any
		index string
	}{
		"one subscriber":  {withAccounts(oneSubscriber), []any{"t", 1}, "accounts_msisdn (msisdn=?"},
		"a page of them":  {withAccounts(pageOfSubscribers), []any{"t", 1, 1}, "accounts_msisdn (msisdn=?"},
		"a profile":       {profileQuery, []any{1, 1}, "accounts_msisdn (msisdn=?"},
		"expected codes":  {expectedCodes, []any{`[["t","im","a",1]]`, 5}, "(tenant=? AND network=? AND account=?"},
		"a page of texts": {reviewsQuery, []any{"t", "pending", 1, "im", "a", 1}, "accounts_review (tenant=? AND review=? AND (at,network,account)>(?,?,?))"},
	} {
		rows, err := e.query(t.Context(), "EXPLAIN QUERY PLAN "+c.query, c.args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
		if all := strings.Join(plan, "\n"); !strings.Contains(all, c.index) || strings.Contains(all, "TEMP B-TREE") && strings.HasPrefix(c.index, "accounts_review") {
			t.Errorf("%s: %s", name, all)
		}
	}
}
