/** Upstream's names; `undefined` = not set, and left out as upstream leaves it out. */
export interface TelemetrySettings {
  readonly jwtRbac: boolean | undefined;
  readonly hideJwtDashboard: boolean | undefined;
  /** Settings of the audit files. Upstream: since Qdrant v1.18.0. */
  readonly audit: TelemetryAudit | undefined;
  /** True = upstream has settings of its own, which are not shown: it keeps a key that only the gateway knows. Default: false. */
  readonly hidesOthers?: boolean;
}

/** Upstream's names and order. */
export interface TelemetryAudit {
  readonly dir: string;
  readonly rotation: 'daily' | 'hourly';
  readonly max_log_files: number;
  readonly trust_forwarded_headers: boolean;
  readonly log_api: boolean;
}
