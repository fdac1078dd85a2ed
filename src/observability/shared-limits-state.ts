/** State of limits that gateways count together. */
export interface SharedLimitsState {
  /** True = counted together; else each process counts its share. */
  readonly available: boolean;
  /** Known gateways and their serving processes, these included. */
  readonly gateways: number;
  readonly processes: number;
  /** Without credentials. */
  readonly problem: string | undefined;
}
