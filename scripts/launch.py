"""Start the processes of a run: torchrun on one node, or srun and torchrun over several."""

from radscale_lib.cli.launch import main

if __name__ == "__main__":
    main()
