/** Short messages about what an action changed. */
import { Toast } from "@base-ui/react/toast"
import type { ReactNode } from "react"
import { Cross } from "./icons.tsx"

const manager = Toast.createToastManager()

/** Says what happened. Assistive technology reads it. */
export const notify = (title: string, type: "done" | "failed" = "done"): void => {
  manager.add({ title, type, priority: type === "failed" ? "high" : "low", timeout: type === "failed" ? 0 : 6000 })
}

const List = () => {
  const { toasts } = Toast.useToastManager()
  return toasts.map((toast) => (
    <Toast.Root key={toast.id} toast={toast} className="toast" data-kind={toast.type}>
      <Toast.Title className="toast-title" />
      <Toast.Close className="button ghost icon-only" aria-label="Dismiss">
        <Cross />
      </Toast.Close>
    </Toast.Root>
  ))
}

export const Toasts = ({ children }: { readonly children: ReactNode }) => (
  <Toast.Provider toastManager={manager}>
    {children}
    <Toast.Portal>
      <Toast.Viewport className="toasts">
        <List />
      </Toast.Viewport>
    </Toast.Portal>
  </Toast.Provider>
)
