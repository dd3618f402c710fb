import { createRootRoute, createRoute, createRouter, Link } from "@tanstack/react-router"
import { PageError } from "./components/ErrorBoundary.tsx"
import { Layout } from "./components/Layout.tsx"
import { Empty } from "./components/Message.tsx"
import { AuditPage } from "./pages/Audit.tsx"
import { ExecutionPage } from "./pages/Execution.tsx"
import { FailuresPage } from "./pages/Failures.tsx"
import { SettingsPage } from "./pages/Settings.tsx"
import { QueuesPage } from "./pages/Queues.tsx"
import { ReviewPage } from "./pages/Review.tsx"
import { TaskPage } from "./pages/Task.tsx"
import { WorkflowsPage } from "./pages/Workflows.tsx"
import { TasksPage } from "./pages/Tasks.tsx"
import { base } from "./base.ts"
import * as Search from "./search.ts"

const root = createRootRoute({
  component: Layout,
  notFoundComponent: () => (
    <Empty title="This page does not exist">
      <p>
        <Link to="/">All queues</Link>
      </p>
    </Empty>
  )
})

const routes = [
  createRoute({ getParentRoute: () => root, path: "/", component: QueuesPage }),
  createRoute({ getParentRoute: () => root, path: "/tasks", validateSearch: Search.tasks, component: TasksPage }),
  // The id is a parameter, because an id can contain anything, such as `/` and `..`.
  createRoute({ getParentRoute: () => root, path: "/task", validateSearch: Search.task, component: TaskPage }),
  createRoute({
    getParentRoute: () => root,
    path: "/workflows",
    validateSearch: Search.workflows,
    component: WorkflowsPage
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/execution",
    validateSearch: Search.execution,
    component: ExecutionPage
  }),
  createRoute({ getParentRoute: () => root, path: "/review", validateSearch: Search.review, component: ReviewPage }),
  createRoute({ getParentRoute: () => root, path: "/audit", validateSearch: Search.audit, component: AuditPage }),
  createRoute({
    getParentRoute: () => root,
    path: "/settings",
    validateSearch: Search.settings,
    component: SettingsPage
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/failures",
    validateSearch: Search.failures,
    component: FailuresPage
  })
] as const

export const router = createRouter({
  basepath: base,
  routeTree: root.addChildren(routes),
  parseSearch: Search.parse,
  stringifySearch: Search.stringify,
  defaultErrorComponent: ({ error }) => <PageError error={error} />,
  scrollRestoration: true
})

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router
  }
}
