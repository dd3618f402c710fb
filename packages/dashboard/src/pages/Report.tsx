import { getRouteApi, Link } from "@tanstack/react-router"
import * as Usage from "@baton/core/Usage"
import { useReport } from "../api/queries.ts"
import { Fact } from "../components/Fact.tsx"
import { ArrowLeft } from "../components/icons.tsx"
import { LoadingOrFailure } from "../components/Message.tsx"
import { Plain } from "../components/Plain.tsx"
import type { Group, Report } from "../schema.ts"
import { cost, count, elapsed, number, percent } from "../text/format.ts"

const route = getRouteApi("/report")

const Figures = ({ report }: { readonly report: Report }) => {
  const { attempts, durations, outcomes, span, statuses, unverified, usage } = report
  const failed = (outcomes.retried ?? 0) + (outcomes.failed ?? 0)
  return (
    <dl className="facts card report-figures">
      <Fact label="Completed">
        {number(statuses.completed)} of {count(report.tasks, "task")}, {percent(statuses.completed, report.tasks)}
      </Fact>
      {statuses.failed > 0 && <Fact label="Failed">{count(statuses.failed, "task")}</Fact>}
      {unverified > 0 && <Fact label="Unverified">{count(unverified, "task")}</Fact>}
      <Fact label="Attempts">
        {number(attempts)}
        {failed > 0 && `, ${number(failed)} failed`}
      </Fact>
      {durations !== undefined && (
        <Fact label="Time per attempt">
          {elapsed(durations.median)} median, {elapsed(durations.percentile95)} at the 95th percentile
        </Fact>
      )}
      {span !== undefined && (
        <Fact label="Total time">{elapsed(span.until.epochMilliseconds - span.from.epochMilliseconds)}</Fact>
      )}
      {usage !== undefined && <Fact label="Tokens">{number(Usage.totalTokens(usage))}</Fact>}
      {usage !== undefined && <Fact label="Cost">{cost(usage)}</Fact>}
    </dl>
  )
}

const Groups = ({
  countsTasks = false,
  groups,
  name
}: {
  readonly groups: ReadonlyArray<Group>
  readonly name: string
  readonly countsTasks?: boolean
}) =>
  groups.length > 0 && (
    <div className="card report-table">
      <table>
        <thead>
          <tr>
            <th scope="col">{name}</th>
            {countsTasks && <th scope="col">Tasks</th>}
            <th scope="col">Attempts</th>
            {!countsTasks && <th scope="col">Cost</th>}
          </tr>
        </thead>
        <tbody>
          {groups.map(({ attempts, name, tasks, usage }) => (
            <tr key={name}>
              <th scope="row">
                <Plain text={name} />
              </th>
              {countsTasks && <td>{number(tasks)}</td>}
              <td>{number(attempts)}</td>
              {!countsTasks && <td>{usage === undefined ? "–" : cost(usage)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )

export const ReportPage = () => {
  const { queue } = route.useSearch()
  const report = useReport(queue === "" ? undefined : queue)
  return (
    <>
      <title>Report · Baton</title>
      <Link to="/" className="back">
        <ArrowLeft />
        Queues
      </Link>
      <div className="page-head">
        <h1>
          Report on <Plain text={queue === "" ? "all queues" : queue} />
        </h1>
      </div>
      {report.data === undefined ? (
        <LoadingOrFailure query={report} />
      ) : (
        <div className="report">
          <Figures report={report.data} />
          <Groups name="Cause of failures" groups={report.data.causes} countsTasks />
          <Groups name="Model" groups={report.data.models} />
          <Groups name="Worker" groups={report.data.workers} />
        </div>
      )}
    </>
  )
}
