"""Write the phantom archive of a study: DICOM files, reports, labels and tube annotations."""

from radscale_lib.cli.make_phantom import main

if __name__ == "__main__":
    main()
